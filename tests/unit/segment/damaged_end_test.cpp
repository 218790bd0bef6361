// Damage at the log's end: what whole frames behind it tell of is not given out again, and a GAP names it.
#include <fcntl.h>

#include <cstdlib>

#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "segment/recovery_plan.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::TempDirectory;

constexpr std::uint64_t kSegmentBytes = 4 * limits::kMiB;

/// Two starts, the first of which dies before it begins a segment, say the same: records `first` to `last` are missing. Then
/// a run follows them.
void expect_missing(LogBuilder& log, std::uint64_t first, std::uint64_t last,
                    FileSystem& files = posix_file_system()) {
  const auto plan = plan_recovery(files, log.directory(), log.log_uuid);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(conclude(*plan).next_sequence, last + 1) << "what fsck --dry-run shows";
  RecoveryReport report;
  for (int start = 1; start <= 2; ++start) {
    report = recover_log(log, files);
    EXPECT_EQ(report.next_sequence, last + 1) << "start " << start;
    const auto numbered =
        std::find_if(report.gaps.begin(), report.gaps.end(), [](const Gap& gap) { return gap.numbered(); });
    ASSERT_NE(numbered, report.gaps.end()) << "start " << start;
    EXPECT_EQ(numbered->reason, ingress::LossReason::damaged);
    EXPECT_EQ(numbered->first.value, first);
    EXPECT_EQ(numbered->last.value, last);
  }
  restart(log, report, 3);
  EXPECT_FALSE(verify_directory(log.directory(), {})->has_unaccounted_gap());
  const auto again = recover_log(log);
  EXPECT_TRUE(again.gaps.empty()) << "told once";
  EXPECT_EQ(again.next_sequence, last + 4);
}

void fill_to(LogBuilder& log, std::uint64_t offset) {
  while (log.writer.offset() < offset) ASSERT_TRUE(log.add(std::string(1000, 'x')));
}

/// Five records, and the offset of the sixth; then so many that three blocks are in use, whose last CHECKPOINT says that the
/// second one is durable.
std::uint64_t fill_three_blocks(LogBuilder& log) {
  log.begin();
  log.add_records(5);
  const std::uint64_t sixth = log.writer.offset();
  fill_to(log, kBlockBytes + 5000);
  log.writer.set_durable(log.writer.position());
  fill_to(log, 2 * kBlockBytes + 5000);
  log.add_records(7);
  return sixth;
}

TEST(DamagedEnd, IsFollowedByTheNumberBehindTheLastWholeFrame) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), kSegmentBytes);
  const std::uint64_t sixth = fill_three_blocks(log);
  test::flip_bit(log.current_path(), sixth + 33, 5);
  expect_missing(log, 6, log.next_sequence - 1);
}

TEST(DamagedEnd, IsFollowedByThatNumberAlsoWhereLaterFramesAreDamagedToo) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), kSegmentBytes);
  const std::uint64_t sixth = fill_three_blocks(log);
  const std::uint64_t last = log.next_sequence - 1;
  const std::uint64_t next = log.writer.offset();
  ASSERT_TRUE(log.add("its frame is damaged, and nothing is whole behind it"));
  test::flip_bit(log.current_path(), sixth + 33, 5);
  test::flip_bit(log.current_path(), next + 33, 5);
  test::poke(log.current_path(), kBlockBytes + 4096, std::vector<std::byte>(4096));
  expect_missing(log, 6, last);
}

// All in one block, which begins with no CHECKPOINT.
TEST(DamagedEnd, IsFollowedByTheNumberBehindTheLastWholeFrameOfTheSameBlock) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(3);
  FileTrailer trailer = log.writer.trailer();
  const std::uint64_t fourth = log.writer.offset();
  log.add_records(6);
  test::flip_bit(log.current_path(), fourth + 33, 5);
  trailer.state = TrailerState::damaged;  // as an earlier start has found it
  ASSERT_TRUE(seal_segment(posix_file_system(), log.file->fd.get(), log.file->header, trailer));
  expect_missing(log, 4, 9);
}

/// One sector of a file can't be read.
class BadSector : public test::PassingFileSystem {
 public:
  BadSector(std::string name, std::uint64_t offset) : name_(std::move(name)), offset_(offset) {}
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
    const bool meant = path.native().find(name_) != std::string::npos;
    if (meant && offset <= offset_ && offset + into.size() > offset_)
      return Error{std::error_code(EIO, std::system_category()), "pread"};
    return PassingFileSystem::read_at(fd, into, offset);
  }

 private:
  std::string name_;
  std::uint64_t offset_;
};

TEST(DamagedEnd, OfASectorThatCantBeReadIsPassedOver) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), kSegmentBytes);
  (void)fill_three_blocks(log);
  BadSector files(segment_name(1), kBlockBytes + 3000);
  auto plan = plan_recovery(files, log.directory(), log.log_uuid);
  ASSERT_TRUE(plan.has_value());
  ASSERT_EQ(plan->files.size(), 1U);
  ASSERT_EQ(plan->files[0].fate, Fate::keep_damaged);
  expect_missing(log, plan->files[0].trailer.last_sequence + 1, log.next_sequence - 1, files);
}

// The block of the last whole frames itself is read page by page.
TEST(DamagedEnd, WithASectorThatCantBeReadInTheLastBlockIsReadAroundIt) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), kSegmentBytes);
  const std::uint64_t sixth = fill_three_blocks(log);
  test::flip_bit(log.current_path(), sixth + 33, 5);
  BadSector files(segment_name(1), 2 * kBlockBytes + limits::kMiB / 2);
  expect_missing(log, 6, log.next_sequence - 1, files);
}

TEST(DamagedEnd, OfASegmentWhoseFirstFrameIsDamagedIsNotForgotten) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.seal();
  log.begin();
  log.add_records(5);
  test::flip_bit(log.current_path(), kHeaderBytes + 40, 0);
  expect_missing(log, 6, 10);
}

TEST(DamagedEnd, OfTheOnlySegmentIsNotForgotten) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  test::flip_bit(log.current_path(), kHeaderBytes + 40, 0);
  expect_missing(log, 1, 5);
}

// Without the lock file, what was set aside is all that knows whose log it is.
TEST(DamagedEnd, OfTheOnlySegmentIsNotForgottenWhereNobodyKnowsTheLog) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  test::flip_bit(log.current_path(), kHeaderBytes + 40, 0);
  for (int start = 1; start <= 2; ++start) {
    const auto report = recover(posix_file_system(), directory.path(), std::nullopt);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->next_sequence, 6U) << "start " << start;
    EXPECT_EQ(report->log_uuid, log.log_uuid) << "start " << start;
  }
}

TEST(DamagedEnd, IsNoMatterOfATornTail) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  const auto report = recover_log(log);
  EXPECT_EQ(report.next_sequence, 6U) << "nobody was told that these are stored";
  EXPECT_TRUE(report.gaps.empty());
}

}  // namespace
}  // namespace fastlogd::segment
