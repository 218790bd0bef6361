#include "append/sealed_segments.hpp"

#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "segment/segment_file.hpp"
#include "support/passing_file_system.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

constexpr std::uint64_t kBytes = limits::kMiB;

class SealedSegmentsOfALog : public ::testing::Test {
 protected:
  static segment::ControlWriter make_control(const std::string& directory) {
    auto control = segment::ControlWriter::create(directory, "s", {.segment_bytes = kBytes});
    control->set_committed(LogPosition::of(9, 0));
    return std::move(*control);
  }
  void add(std::uint64_t index, bool on_disk) {
    std::ofstream(path(index)) << "of no interest";
    sealed_.add_sealed({.index = index, .disk_bytes = kBytes, .last_time_ns = 1}, on_disk);
  }
  [[nodiscard]] std::string path(std::uint64_t index) const {
    return segment::segment_path(directory_.path(), index);
  }
  /// By a rule that would remove everything.
  std::vector<std::uint64_t> left_by_retention() {
    sealed_.apply_retention({.bytes_max = 1, .age_max = std::chrono::seconds(1), .keep_free = 0}, 0);
    return segment::list_segments(posix_file_system(), directory_.path()).value();
  }
  using Indices = std::vector<std::uint64_t>;

  /// A file system on which removing does not help: a reader has everything open.
  class Occupied : public test::PassingFileSystem {
   public:
    Result<std::uint64_t> free_bytes(const std::string& /*path*/) override { return free; }
    std::uint64_t free = 0;
  };

  test::TempDirectory directory_{"/dev/shm"};
  Occupied files_;
  segment::ControlWriter control_{make_control(directory_.path())};
  AppendCounters counters_;
  SealedSegments sealed_{files_, directory_.path(), control_, counters_};
};

TEST_F(SealedSegmentsOfALog, AreRemovedFromTheOldestOnButTheNewest) {
  add(1, true);
  add(2, true);
  add(3, true);
  EXPECT_EQ(left_by_retention(), Indices{3});
  EXPECT_EQ(control_.oldest(), LogPosition::of(3, segment::kHeaderBytes));
  EXPECT_EQ(sealed_.sealed_bytes(), kBytes);
}

TEST_F(SealedSegmentsOfALog, AreAllRemovedOnceANewerOneIsDurable) {
  control_.set_durable(LogPosition::of(1, 0));
  add(1, true);
  control_.set_durable(LogPosition::of(2, 0));  // nothing in it is
  EXPECT_EQ(left_by_retention(), Indices{1});
  control_.set_durable(LogPosition::of(2, segment::kHeaderBytes + 64));
  EXPECT_EQ(left_by_retention(), Indices{});
}

TEST_F(SealedSegmentsOfALog, GoForKeepFreeAsFarAsTheyAreInTheWay) {
  for (std::uint64_t index = 1; index <= 8; ++index) add(index, true);
  const auto left_by_keep_free = [&](std::uint64_t missing) {
    files_.free = 10 * kBytes - missing;
    sealed_.apply_retention({.bytes_max = 0, .keep_free = 10 * kBytes}, 0);
    return segment::list_segments(posix_file_system(), directory_.path()).value();
  };
  EXPECT_EQ(left_by_keep_free(0).size(), 8U);
  EXPECT_EQ(left_by_keep_free(1), (Indices{2, 3, 4, 5, 6, 7, 8})) << "one is enough";
  EXPECT_EQ(left_by_keep_free(2 * kBytes + 1), (Indices{5, 6, 7, 8}));
  EXPECT_EQ(left_by_keep_free(9 * kBytes), (Indices{8})) << "the newest stays";
}

// A power loss may leave nothing of a segment whose sync has failed: the next start would count from 1.
TEST_F(SealedSegmentsOfALog, OnDiskStayWhileThoseBehindThemHaveFailed) {
  add(1, true);
  add(2, false);
  add(3, false);
  EXPECT_EQ(left_by_retention(), (Indices{1, 2, 3}));
  EXPECT_FALSE(sealed_.free_up(1)) << "nor for a full disk";
  add(4, true);
  EXPECT_EQ(left_by_retention(), Indices{4});
}

TEST_F(SealedSegmentsOfALog, ThatFailedStayAsLongAsTheyHoldTheDurablePosition) {
  control_.set_durable(LogPosition::of(2, segment::kHeaderBytes + 64));
  add(1, true);
  add(2, false);
  add(3, false);
  EXPECT_EQ(left_by_retention(), (Indices{2, 3}));
  control_.set_durable(LogPosition::of(4, segment::kHeaderBytes + 64));
  EXPECT_EQ(left_by_retention(), Indices{});
}

}  // namespace
}  // namespace fastlogd::append
