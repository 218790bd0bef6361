#include "segment/recovery.hpp"

#include <sys/stat.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/passing_file_system.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::read_to_end;
using test::records;
using test::TempDirectory;

RecoveryReport recover_log(const LogBuilder& log, FileSystem& files = posix_file_system()) {
  auto report = recover(files, log.directory(), log.log_uuid);
  EXPECT_TRUE(report.has_value()) << report.error().message();
  return report ? std::move(*report) : RecoveryReport{};
}

std::vector<std::string> names(const std::string& directory) {
  auto list = posix_file_system().list(directory).value();
  std::erase(list, "LOCK");
  return list;
}

std::vector<std::string> read(const std::string& directory) {
  auto reader = LogReader::open(directory, Access::pread);
  return reader ? read_to_end(*reader) : std::vector<std::string>{};
}

void expect_sound(const std::string& directory) {
  const auto report = verify_directory(directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings) {
    EXPECT_EQ(finding.kind, Finding::Kind::note)
        << finding.file << ":" << finding.offset << " " << finding.text;
  }
}

bool says(const RecoveryReport& report, const std::string& text, bool damage) {
  return std::any_of(report.notes.begin(), report.notes.end(), [&](const RecoveryNote& note) {
    return note.damage == damage && note.text.find(text) != std::string::npos;
  });
}

/// Everything a next start depends on.
void expect_same(const RecoveryReport& a, const RecoveryReport& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.next_index, b.next_index);
  EXPECT_EQ(a.next_sequence, b.next_sequence);
  EXPECT_EQ(a.log_uuid, b.log_uuid);
  EXPECT_EQ(a.previous_uuid, b.previous_uuid);
  EXPECT_EQ(a.previous_end_offset, b.previous_end_offset);
  EXPECT_EQ(a.oldest, b.oldest);
  EXPECT_EQ(a.segments.size(), b.segments.size());
}

/// A new run as the store would begin it: the gaps right behind the OPEN.
void restart(LogBuilder& log, const RecoveryReport& report, int new_records) {
  log.epoch = report.epoch;
  log.next_index = report.next_index;
  log.next_sequence = report.next_sequence;
  log.begin();
  for (const Gap& gap : report.gaps) ASSERT_TRUE(log.writer.append_gap(gap));
  log.add_records(new_records);
  log.seal();
}

TEST(Recovery, OfANewDirectoryBeginsALog) {
  const TempDirectory directory;
  const auto report = recover(posix_file_system(), directory.path(), std::nullopt);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->epoch, 1U);
  EXPECT_EQ(report->next_index, 1U);
  EXPECT_EQ(report->next_sequence, 1U);
  EXPECT_EQ(report->oldest, LogPosition::of(1, kHeaderBytes));
  EXPECT_TRUE(report->notes.empty());
}

TEST(Recovery, RemovesTemporariesAndSegmentsThatWereNeverUsed) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  log.prepare();
  std::filesystem::copy_file(log.current_path(), log.path(3) + ".tmp");
  const auto report = recover_log(log);
  EXPECT_EQ(names(directory.path()), std::vector<std::string>{segment_name(1)});
  EXPECT_GE(report.next_index, 3U) << "a number is not used twice";
  EXPECT_EQ(report.next_sequence, 6U);
  EXPECT_TRUE(report.gaps.empty());
}

TEST(Recovery, SealsAnUnsealedSegmentAndLosesNothing) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(50);
  log.seal_frame();  // SEAL frame, no trailer
  log.begin();
  log.add_records(50);
  const auto report = recover_log(log);
  EXPECT_EQ(report.next_sequence, 101U);
  EXPECT_EQ(report.epoch, 2U);
  EXPECT_EQ(report.next_index, 3U) << "it always goes on in a new segment";
  EXPECT_TRUE(report.notes.empty());
  for (const std::uint64_t index : {1U, 2U}) {
    const auto opened = open_segment(posix_file_system(), directory.path(), index);
    ASSERT_TRUE(opened && opened->trailer);
    EXPECT_EQ(opened->trailer->state, TrailerState::recovered);
    EXPECT_EQ(opened->trailer->record_count, 50U);
    struct stat info{};
    ASSERT_EQ(::stat(log.path(index).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0440U);
    EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), limits::kMiB) << "never truncated";
  }
  EXPECT_EQ(read(directory.path()), records(1, 100));
  expect_sound(directory.path());
  expect_same(report, recover_log(log));
}

TEST(Recovery, CutsATornTailSavesItAsideAndZeroesIt) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));  // its commit word never reached the disk
  const auto before = test::read_file(log.current_path());
  const auto report = recover_log(log);
  EXPECT_EQ(report.next_sequence, 6U);
  EXPECT_TRUE(says(report, "cut a torn tail", false));
  EXPECT_TRUE(report.gaps.empty()) << "what was never acknowledged is no gap";
  const auto cut = test::read_file(log.path(1));
  EXPECT_TRUE(all_zero(std::span(cut).subspan(end, 1000)));
  const auto aside = test::read_file(log.path(1) + ".torn-2");
  ASSERT_GT(aside.size(), 200U);
  EXPECT_TRUE(std::equal(aside.begin(), aside.end(), before.begin() + static_cast<std::ptrdiff_t>(end)));
  EXPECT_EQ(read(directory.path()), records(1, 5));
  expect_sound(directory.path());
  expect_same(report, recover_log(log));
}

TEST(Recovery, NeverOverwritesATornTailSavedByAnEarlierAttempt) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  // The machine died in the middle of zeroing: the copy is complete, the tail half gone.
  std::ofstream(log.path(1) + ".torn-2") << "the complete copy";
  const auto report = recover_log(log);
  EXPECT_EQ(report.next_sequence, 6U);
  const auto kept = test::read_file(log.path(1) + ".torn-2");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(kept.data()), kept.size()), "the complete copy");
}

TEST(Recovery, KeepsEveryByteWhenAcknowledgedDataIsDamaged) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), 4 * limits::kMiB);
  log.begin();
  log.add_records(5);
  const std::uint64_t damage = log.writer.offset();
  while (log.writer.offset() < kBlockBytes) ASSERT_TRUE(log.add(std::string(1000, 'x')));
  log.writer.set_durable(log.writer.position());
  while (log.writer.offset() < 2 * kBlockBytes) ASSERT_TRUE(log.add(std::string(1000, 'x')));
  const std::uint64_t told = log.next_sequence;  // a CHECKPOINT behind the damage carries a number near it
  log.add_records(3);
  test::flip_bit(log.current_path(), damage + 33, 5);
  const auto before = test::read_file(log.current_path());
  const auto report = recover_log(log);
  EXPECT_TRUE(says(report, "acknowledged data is damaged", true));
  auto after = test::read_file(log.current_path());
  after.resize(frames_end(4 * limits::kMiB));
  EXPECT_TRUE(std::equal(after.begin(), after.end(), before.begin())) << "every byte is kept";
  EXPECT_EQ(read(directory.path()), records(1, 5)) << "frames behind an invalid one are never served";
  EXPECT_GE(report.next_sequence, told - 1) << "numbers that readers have seen are not given out again";
  ASSERT_FALSE(report.gaps.empty());
  expect_same(report, recover_log(log));
  restart(log, report, 3);
  const auto items = read(directory.path());
  EXPECT_EQ(std::count_if(items.begin(), items.end(), [](const auto& i) { return i.starts_with("<6-"); }), 1);
  expect_same(recover_log(log), recover_log(log));
  EXPECT_FALSE(verify_directory(directory.path(), {})->has_unaccounted_gap());
}

TEST(Recovery, KnowsDurableDataInAnOlderUnsealedSegmentAsDamagedToo) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t damage = log.writer.offset();
  log.add_records(5);
  const std::string first = log.current_path();
  log.seal_frame();
  log.begin(LogPosition::of(2, kHeaderBytes));  // its OPEN says that all of the segment before is durable
  log.add_records(5);
  test::flip_bit(first, damage + 33, 5);
  const auto before = test::read_file(first);
  const auto report = recover_log(log);
  EXPECT_TRUE(says(report, "acknowledged data is damaged", true));
  auto after = test::read_file(first);
  after.resize(frames_end(limits::kMiB));
  EXPECT_TRUE(std::equal(after.begin(), after.end(), before.begin()));
  ASSERT_FALSE(report.gaps.empty());
  EXPECT_EQ(report.gaps.back().first.value, 6U);
  EXPECT_EQ(report.gaps.back().last.value, 10U);
}

TEST(Recovery, BelievesTheNextSegmentWhereOneEndedThatHasLostItsTrailer) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.leave();  // a crash: no SEAL, and recovery writes the trailer
  restart(log, recover_log(log), 5);
  test::flip_bit(log.path(1), limits::kMiB - 4000, 2);
  const auto report = recover_log(log);
  EXPECT_TRUE(report.notes.empty());
  EXPECT_EQ(read(directory.path()), records(1, 10));
  expect_sound(directory.path());
}

TEST(Recovery, SetsAForeignLogsSegmentAside) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  const Uuid own = log.log_uuid;
  log.log_uuid = random_uuid();
  log.begin();
  log.add_records(5);
  log.seal();
  log.log_uuid = own;
  const auto report = recover_log(log);
  EXPECT_TRUE(says(report, "another log", true));
  EXPECT_EQ(names(directory.path()),
            (std::vector<std::string>{segment_name(1), segment_name(2) + ".damaged"}));
  EXPECT_EQ(report.next_sequence, 6U);
  EXPECT_EQ(report.next_index, 3U);
  EXPECT_EQ(recover_log(log).next_index, 3U) << "the number of a file set aside stays taken";
}

TEST(Recovery, SetsAsideWhateverIsNoSegment) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 7; ++i) {
    log.begin();
    log.add_records(2);
    log.seal();
  }
  test::flip_bit(log.path(2), 50, 1);                     // header page
  std::filesystem::resize_file(log.path(3), 1000);        // shortened by somebody
  std::filesystem::copy_file(log.path(1), log.path(20));  // a copy under another number
  std::filesystem::remove(log.path(4));
  std::filesystem::create_symlink("/etc/passwd", log.path(4));
  std::filesystem::remove(log.path(5));
  std::filesystem::create_directory(log.path(5));
  std::filesystem::remove(log.path(6));
  ASSERT_EQ(::mkfifo(log.path(6).c_str(), 0600), 0);
  std::ofstream(log.path(30)) << "not a segment at all";
  const auto report = recover_log(log);
  EXPECT_EQ(report.segments.size(), 2U);
  EXPECT_EQ(report.next_index, 31U);
  EXPECT_EQ(report.next_sequence, 15U);
  std::size_t aside = 0;
  for (const auto& name : names(directory.path())) aside += name.ends_with(".damaged") ? 1 : 0;
  EXPECT_EQ(aside, 7U);
  const auto numbered =
      std::find_if(report.gaps.begin(), report.gaps.end(), [](const Gap& g) { return g.numbered(); });
  ASSERT_NE(numbered, report.gaps.end());
  EXPECT_EQ(numbered->first.value, 3U);
  EXPECT_EQ(numbered->last.value, 12U);
  expect_same(report, recover_log(log));
}

TEST(Recovery, SetsASegmentWithAnUnreadableHeaderAside) {
  class BadSector : public test::PassingFileSystem {
    Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
      std::array<char, 256> path{};
      const auto link = "/proc/self/fd/" + std::to_string(fd);
      const auto n = ::readlink(link.c_str(), path.data(), path.size());
      const std::string_view name(path.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
      if (name.find(segment_name(1)) != name.npos && offset == 0)
        return Error{std::error_code(EIO, std::system_category()), "pread"};
      return test::PassingFileSystem::read_at(fd, into, offset);
    }
  } files;
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 2; ++i) {
    log.begin();
    log.add_records(2);
    log.seal();
  }
  const auto report = recover_log(log, files);
  EXPECT_EQ(report.segments.size(), 1U);
  EXPECT_TRUE(says(report, "set aside", true));
}

TEST(Recovery, SetsASegmentAsideWhoseFirstFrameIsDamaged) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  test::flip_bit(log.path(1), kHeaderBytes + 40, 0);
  const auto report = recover_log(log);
  EXPECT_TRUE(says(report, "first frame is damaged", true));
  EXPECT_TRUE(report.segments.empty());
}

TEST(Recovery, TellsAMissingMiddleOnceAndOnlyOnce) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  for (int run = 0; run < 4; ++run) {
    const auto report = recover_log(log);
    ASSERT_EQ(report.gaps.size(), run == 0 ? 1U : 0U) << "start " << run;
    if (run == 0) {
      EXPECT_EQ(report.gaps[0].first.value, 11U);
      EXPECT_EQ(report.gaps[0].last.value, 20U);
      EXPECT_TRUE(says(report, "a segment is missing", true));
    }
    EXPECT_EQ(report.epoch, static_cast<std::uint64_t>(run) + 2) << "the epoch grows with every run";
    restart(log, report, 1);
  }
  const auto report = verify_directory(directory.path(), {});
  EXPECT_FALSE(report->has_unaccounted_gap());
  EXPECT_EQ(report->reported_lost, 10U);
}

TEST(Recovery, RepeatsAGapThatItsFirstAttemptDidNotLiveToWrite) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  EXPECT_EQ(recover_log(log).gaps.size(), 1U);
  EXPECT_EQ(recover_log(log).gaps.size(), 1U) << "no GAP frame says it yet";
}

TEST(Recovery, RevivesNoFrameOfATornTail) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);  // whole frames behind a hole: not trusted
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  const auto stale = test::read_file(log.current_path());
  (void)recover_log(log);
  // Whatever comes back to the old place, and in whatever new segment: it is not served.
  restart(log, recover_log(log), 0);
  auto fresh = std::span(stale).subspan(end, 400);
  test::poke(log.path(log.next_index - 1), log.writer.offset(), fresh);
  EXPECT_EQ(read(directory.path()), records(1, 5));
}

TEST(Recovery, RecoversASealedSegmentWhoseTrailerIsDamagedEvenIfItIsReadOnly) {
  class OrdinaryUser : public test::PassingFileSystem {
    Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
      struct stat info{};
      const bool writes = (flags & O_ACCMODE) != O_RDONLY;
      if (writes && ::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWUSR) == 0) {
        return Error{std::error_code(EACCES, std::system_category()), "open " + path};
      }
      return test::PassingFileSystem::open(path, flags, mode);
    }
  } files;
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  test::flip_bit(log.path(1), limits::kMiB - 4000, 2);
  ASSERT_EQ(::chmod(log.path(1).c_str(), 0440), 0);
  const auto report = recover_log(log, files);
  EXPECT_EQ(report.next_sequence, 6U);
  EXPECT_EQ(read(directory.path()), records(1, 5));
  EXPECT_TRUE(open_segment(posix_file_system(), directory.path(), 1)->trailer.has_value());
}

TEST(Recovery, StartsOnAFullDiskThatCannotTakeATornTail) {
  class Full : public test::PassingFileSystem {
    Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
      struct stat info{};
      if (::fstat(fd, &info) == 0 && static_cast<std::uint64_t>(info.st_size) < offset + bytes.size())
        return Error{std::error_code(ENOSPC, std::system_category()), "pwrite"};
      return test::PassingFileSystem::write_at(fd, bytes, offset);
    }
  } files;
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  const auto before = test::read_file(log.current_path());
  const auto report = recover_log(log, files);
  EXPECT_EQ(report.next_sequence, 6U);
  auto after = test::read_file(log.current_path());
  EXPECT_TRUE(std::equal(after.begin(), after.begin() + 8192, before.begin()))
      << "what can't be saved is kept";
  EXPECT_EQ(read(directory.path()), records(1, 5));
  EXPECT_EQ(names(directory.path()).size(), 1U);
}

TEST(Recovery, GivesTheSameAnswerWhereverItsFirstAttemptFails) {
  /// Fails every operation that changes something, from the n-th on, as a crash there would.
  class DiesAt : public test::PassingFileSystem {
   public:
    explicit DiesAt(int after) : left_(after) {}
    bool dead() const { return left_ < 0; }

   private:
    Result<> step() {
      if (--left_ < 0) return Error{std::error_code(EIO, std::system_category()), "dead"};
      return {};
    }
    Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::write_at(fd, bytes, offset);
    }
    Result<> rename(const std::string& from, const std::string& to) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::rename(from, to);
    }
    Result<> unlink(const std::string& path) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::unlink(path);
    }
    Result<> sync_data(int fd) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::sync_data(fd);
    }
    Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::punch(fd, offset, bytes);
    }
    Result<> set_mode(int fd, mode_t mode) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::set_mode(fd, mode);
    }
    int left_;
  };
  const TempDirectory directory;
  LogBuilder log(directory.path() + "/original");
  log.begin();
  log.add_records(5);
  log.seal_frame();
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  log.prepare();
  log.prepare();
  test::flip_bit(log.current_path(), 30, 0);
  bool died = true;
  for (int after = 0; died; ++after) {
    SCOPED_TRACE(after);
    ASSERT_LT(after, 100);
    const std::string copy = directory.path() + "/" + std::to_string(after);
    std::filesystem::copy(log.directory(), copy);
    DiesAt files(after);
    const auto first = recover(files, copy, log.log_uuid);
    died = files.dead();
    const auto second = recover(posix_file_system(), copy, log.log_uuid);
    ASSERT_TRUE(second.has_value()) << second.error().message();
    EXPECT_EQ(second->next_sequence, 11U);
    EXPECT_EQ(second->next_index, 5U);
    EXPECT_EQ(second->epoch, 2U);
    EXPECT_EQ(second->segments.size(), 2U);
    EXPECT_EQ(read(copy), records(1, 10));
    expect_sound(copy);
    std::filesystem::remove_all(copy);
  }
}

}  // namespace
}  // namespace fastlogd::segment
