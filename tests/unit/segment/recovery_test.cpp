// One recovery of one directory; repeated ones: recovery_repeated_test.cpp.
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::records;
using test::TempDirectory;

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

TEST(Recovery, TheLastNumberOfAllOnAFileThatIsNoSegmentIsNotGoneOnFrom) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  std::ofstream(log.path(kSegmentIndexMax)).flush();
  EXPECT_EQ(recover_log(log).next_index, 2U);
  EXPECT_EQ(recover_log(log).next_index, 2U) << "nor from its name when it is set aside";
  EXPECT_EQ(read(directory.path()), records(1, 5));
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

// Behind it no further segment would have a position.
TEST(Recovery, TakesANumberThatNoSegmentCanHaveForNoneOfItsFiles) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  std::filesystem::copy_file(log.path(1), log.path(kSegmentIndexMax + 1));
  const auto report = recover_log(log);
  EXPECT_EQ(report.next_index, 2U);
  EXPECT_EQ(report.segments.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(log.path(kSegmentIndexMax + 1)));
  EXPECT_EQ(read(directory.path()), records(1, 5));
  EXPECT_FALSE(prepare_segment(posix_file_system(), {.directory = directory.path(),
                                                     .log_uuid = log.log_uuid,
                                                     .index = kSegmentIndexMax + 1,
                                                     .epoch = 1,
                                                     .segment_bytes = limits::kMiB})
                   .has_value());
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

/// A log of one segment with five records, and a second one that begins with the first `bytes` of its OPEN frame behind the
/// commit word.
void begin_and_die(LogBuilder& log, std::size_t bytes) {
  log.begin();
  log.add_records(5);
  log.seal_frame();
  log.begin({}, false);
  constexpr std::size_t kCommitWord = 8;
  const std::vector<std::byte> zeros(padded(kFrameHeaderBytes + sizeof(OpenPayload)) - kCommitWord - bytes);
  test::poke(log.current_path(), kHeaderBytes, std::array<std::byte, kCommitWord>{});
  test::poke(log.current_path(), kHeaderBytes + kCommitWord + bytes, zeros);
}

// A kill may come between any two stores of a frame; the commit word is the last of them.
TEST(Recovery, FindsNoDamageWhereTheProcessDiedInAnOpen) {
  for (std::size_t bytes = 0; bytes <= kFrameHeaderBytes + sizeof(OpenPayload) - 8; bytes += 8) {
    const TempDirectory directory;
    LogBuilder log(directory.path());
    begin_and_die(log, bytes);
    const auto report = recover_log(log);
    EXPECT_TRUE(report.gaps.empty()) << bytes;
    EXPECT_EQ(names(directory.path()), std::vector<std::string>{segment_name(1)}) << bytes;
    EXPECT_EQ(report.next_index, 3U) << "its number was used";
    EXPECT_EQ(report.next_sequence, 6U);
    EXPECT_EQ(read(directory.path()), records(1, 5));
    expect_sound(directory.path());
  }
}

// What was stored behind it was stored after it: the OPEN was there.
TEST(Recovery, SetsASegmentAsideWhoseOpenIsGoneAndSomethingBehindItIsNot) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  begin_and_die(log, 24);
  test::poke(log.current_path(), kHeaderBytes + padded(kFrameHeaderBytes + sizeof(OpenPayload)),
             std::array{std::byte{1}});
  const auto report = recover_log(log);
  EXPECT_TRUE(says(report, "first frame is damaged", true));
  EXPECT_EQ(report.gaps.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(log.current_path() + ".damaged"));
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

}  // namespace
}  // namespace fastlogd::segment
