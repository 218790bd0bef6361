// Seeking by time over many segments, also where the clock was set back; and how little is read for it.
#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "segment/frame_scan.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::kFirstTime;
using test::LogBuilder;
using test::TempDirectory;

constexpr std::int64_t kSecond = 1'000'000'000;

/// Segments of ten records each; before segment n the clock is set by shifts[n] seconds.
void build(LogBuilder& log, const std::vector<int>& shifts, std::size_t unsealed = 0) {
  for (std::size_t n = 0; n < shifts.size(); ++n) {
    log.time_shift += shifts[n] * kSecond;
    log.begin();
    log.add_records(shifts[n] == 1 ? 0 : 10);  // one second on: a segment without records
    if (n + unsealed < shifts.size()) {
      log.seal();
    } else {
      log.seal_frame();
    }
  }
}

std::vector<std::pair<std::uint64_t, std::int64_t>> all_records(LogReader& reader) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> found;
  LogItem item;
  reader.seek_oldest();
  while (reader.next(item) == ReadStatus::item)
    found.emplace_back(item.record.sequence.value, item.record.receive_time_ns);
  return found;
}

/// Against the answer of a walk through everything.
void expect_seeks_right(const std::string& directory) {
  auto reader = LogReader::open(directory, Access::pread).value();
  const auto records = all_records(reader);
  std::int64_t newest = INT64_MIN;
  bool ordered = true;
  for (const auto& [sequence, time] : records) {
    ordered = ordered && time >= newest;
    newest = std::max(newest, time);
  }
  EXPECT_TRUE(ordered || !reader.in_time_order());
  LogItem item;
  for (const auto& [sequence, time] : records) {
    for (const std::int64_t key : {time - 1, time, time + 1}) {
      const auto first =
          std::find_if(records.begin(), records.end(), [key](const auto& r) { return r.second >= key; });
      ASSERT_TRUE(reader.seek_time(key));
      const ReadStatus status = reader.next(item);
      ASSERT_EQ(status, first == records.end() ? ReadStatus::caught_up : ReadStatus::item)
          << key - kFirstTime;
      if (first != records.end()) {
        ASSERT_EQ(item.record.sequence.value, first->first) << key - kFirstTime;
      }
    }
    ASSERT_TRUE(reader.seek_sequence(Sequence{sequence}));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
  }
}

bool in_order(const std::string& directory) {
  return LogReader::open(directory, Access::pread)->in_time_order();
}

TEST(TimeOrder, IsKnownFromTheNewestTrailer) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  build(log, {0, 5, 1, 0, 20, 1});
  EXPECT_TRUE(in_order(directory.path()));
  expect_seeks_right(directory.path());
  EXPECT_EQ(open_segment(posix_file_system(), directory.path(), 6)->trailer->ordered_since, 1U);
  expect_sound(directory.path());
}

TEST(TimeOrder, IsLostWhereTheClockWasSetBackAndNothingIsMissedThen) {
  for (const std::vector<int>& shifts : {std::vector<int>{0, 100, -50, 10, 10},
                                         {0, 0, 100, 0, -300, 1, 0, 250},
                                         {0, -20, -20, -20},
                                         {1, 100, 1, -50, 1, 10}}) {
    const TempDirectory directory;
    LogBuilder log(directory.path());
    build(log, shifts);
    EXPECT_FALSE(in_order(directory.path()));
    expect_seeks_right(directory.path());
    expect_sound(directory.path());
  }
}

TEST(TimeOrder, ComesBackWhenTheSegmentsBeforeTheStepAreGone) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  build(log, {0, 100, -50, 10, 10});
  ASSERT_EQ(::unlink(log.path(1).c_str()), 0);
  EXPECT_FALSE(in_order(directory.path()));
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  EXPECT_TRUE(in_order(directory.path()));
  expect_seeks_right(directory.path());
}

TEST(TimeOrder, IsAskedOfEveryUnsealedSegment) {
  for (const std::size_t unsealed : {1U, 2U, 3U, 6U}) {
    for (const bool back : {false, true}) {
      const TempDirectory directory;
      LogBuilder log(directory.path());
      build(log, {0, 10, 10, back ? -15 : 10, 5, 5}, unsealed);
      EXPECT_EQ(in_order(directory.path()), !back) << unsealed;
      expect_seeks_right(directory.path());
      recover_log(log);
      EXPECT_EQ(in_order(directory.path()), !back) << "recovered, " << unsealed;
      expect_seeks_right(directory.path());
      expect_sound(directory.path());
    }
  }
}

TEST(TimeOrder, GoesOnOverAStart) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  build(log, {0, 10}, 1);
  const auto report = recover_log(log);
  EXPECT_EQ(report.order.ordered_since, 1U);
  LogBuilder next(directory.path());
  next.log_uuid = log.log_uuid;
  next.time_shift = log.time_shift + kSecond;
  next.writer.follow(report.order);
  restart(next, report, 3);
  EXPECT_EQ(open_segment(posix_file_system(), directory.path(), 3)->trailer->ordered_since, 1U);
  LogBuilder earlier(directory.path());
  earlier.log_uuid = log.log_uuid;
  earlier.writer.follow(recover_log(log).order);
  restart(earlier, recover_log(log), 3);  // this run's clock is behind
  EXPECT_EQ(open_segment(posix_file_system(), directory.path(), 4)->trailer->ordered_since, 4U);
  expect_seeks_right(directory.path());
}

TEST(TimeOrder, ALieAboutItIsFoundByVerify) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  build(log, {0, 100, -50});
  auto trailer = open_segment(posix_file_system(), directory.path(), 3)->trailer.value();
  EXPECT_EQ(trailer.ordered_since, 3U);
  trailer.ordered_since = 1;
  test::poke(log.path(3), frames_end(limits::kMiB), encode(trailer));
  EXPECT_TRUE(verify_directory(directory.path(), {})->damaged());
}

/// What jumping costs.
class Counting : public test::PassingFileSystem {
 public:
  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    ++opened;
    return test::PassingFileSystem::open(path, flags, mode);
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    auto got = test::PassingFileSystem::read_at(fd, into, offset);
    if (got) bytes += *got;
    return got;
  }
  void reset() { opened = bytes = 0; }
  std::uint64_t opened = 0;
  std::uint64_t bytes = 0;
};

class ManySegments : public ::testing::Test {
 protected:
  static constexpr std::size_t kSegments = 256;
  void SetUp() override {
    build(log_, std::vector<int>(kSegments, 0));
    for (int n = 0; n < 2; ++n) {
      log_.begin();
      log_.fill(1000);
      log_.seal();
    }
  }
  TempDirectory directory_;
  LogBuilder log_{directory_.path()};
  Counting files_;
};

TEST_F(ManySegments, ASeekReadsTheEndsOfAFewSegmentsAndALittleOfOne) {
  auto reader = LogReader::open(directory_.path(), Access::pread, files_).value();
  LogItem item;
  for (std::uint64_t sequence = 1; sequence < log_.next_sequence; sequence += 97) {
    files_.reset();
    ASSERT_TRUE(reader.seek_sequence(Sequence{sequence}));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
    EXPECT_LE(files_.opened, 10U);
    EXPECT_LE(files_.bytes, 10U * 2 * limits::kPageBytes + 2 * kReadAheadBytes + 16 * limits::kPageBytes);
    files_.reset();
    ASSERT_TRUE(reader.seek_time(item.record.receive_time_ns));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
    EXPECT_LE(files_.opened, 12U);
  }
}

TEST(ManyFullSegments, AStartReadsNoMoreOfThemThanTheirEndsAndFirstFrames) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int n = 0; n < 19; ++n) {
    log.begin();
    log.fill(1000);
    log.seal();
  }
  log.begin();
  log.fill(2000);  // leaves room for what a clean stop says
  ASSERT_TRUE(log.writer.append_numbers({}));
  log.writer.seal(0);
  ASSERT_TRUE(seal_segment(posix_file_system(), log.file->fd.get(), log.file->header, log.writer.trailer()));
  Counting files;
  EXPECT_EQ(recover_log(log, files).segments.size(), 20U);
  // Of the last one also what a clean stop has said of clients.
  EXPECT_LE(files.bytes, 20U * 5 * limits::kPageBytes + 256 * limits::kKiB);
}

}  // namespace
}  // namespace fastlogd::segment
