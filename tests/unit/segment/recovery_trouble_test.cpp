// A start on a disk that refuses what recovery wants to change: it goes on, and serves what is trusted and no more.
#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "support/faulty_file_system.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::FaultyFileSystem;
using test::LogBuilder;
using test::Op;
using test::records;
using test::TempDirectory;

constexpr std::uint64_t kSegmentBytes = 4 * limits::kMiB;

/// Five records and a torn tail that reaches into the next block, where whole frames lie. Then a segment that was never used,
/// and one whose header is damaged.
void leave_behind(LogBuilder& log) {
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  const std::string much(300'000, 'x');
  for (int i = 0; i < 5; ++i) FASTLOGD_CHECK(log.add(much));
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  FASTLOGD_CHECK(log.writer.offset() > kBlockBytes);
  log.prepare();
  log.prepare();
  test::flip_bit(log.current_path(), 30, 0);
}

/// A run of the daemon behind `report`, with two records of its own; while it runs readers know the watermark.
std::vector<std::string> read_in_next_run(const std::string& directory, const RecoveryReport& report) {
  test::LiveLog next(directory, kSegmentBytes);
  next.log_uuid = report.log_uuid;
  next.epoch = report.epoch;
  next.control->unlink_files();
  next.die();
  next.next_index = report.next_index;
  next.next_sequence = 6;
  next.start();
  next.begin();
  next.add_records(2);
  next.publish();
  auto reader = LogReader::open(directory, Access::pread);
  auto forward = test::read_to_end(*reader);
  EXPECT_TRUE(reader->live());
  std::vector<std::string> backward;
  LogItem item;
  while (reader->previous(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::record) backward.emplace_back(item.record.message());
  }
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(backward, records(1, 7));
  std::erase_if(forward, [](const std::string& text) { return text.starts_with("<"); });
  return forward;
}

struct Refusal {
  Op op;
  int error;
};
class Refused : public ::testing::TestWithParam<Refusal> {};
INSTANTIATE_TEST_SUITE_P(, Refused,
                         ::testing::Values(Refusal{Op::write, EIO}, Refusal{Op::write, ENOSPC},
                                           Refusal{Op::write, EDQUOT}, Refusal{Op::sync, EIO},
                                           Refusal{Op::rename, EIO}, Refusal{Op::rename, ENOSPC},
                                           Refusal{Op::unlink, EIO}, Refusal{Op::unlink, ENOSPC},
                                           Refusal{Op::sync_directory, EIO}));

/// Once, at each call there is, and from then on for good.
TEST_P(Refused, ByADiskIsReportedAndTheStartGoesOn) {
  for (const std::uint64_t times : {std::uint64_t{1}, ~std::uint64_t{0}}) {
    bool refused = true;
    for (std::uint64_t first = 1; refused; ++first) {
      SCOPED_TRACE(first);
      ASSERT_LT(first, 100U);
      const TempDirectory directory;
      LogBuilder log(directory.path(), kSegmentBytes);
      leave_behind(log);
      FaultyFileSystem files;
      files.fail(GetParam().op, GetParam().error, first, times);
      const auto report = recover(files, log.directory(), log.log_uuid);
      ASSERT_TRUE(report.has_value()) << report.error().message();
      refused = files.failures() > 0;
      EXPECT_EQ(report->segments.size(), 1U);
      EXPECT_EQ(report->next_index, 4U);
      EXPECT_EQ(read_in_next_run(directory.path(), *report), records(1, 7));
      const auto healed = recover(posix_file_system(), log.directory(), log.log_uuid);
      ASSERT_TRUE(healed.has_value()) << healed.error().message();
      EXPECT_EQ(healed->segments.size(), 2U);
      EXPECT_EQ(healed->next_sequence, 8U);
    }
  }
}

// Not worth an exit, worth a look.
TEST(RefusedTrailer, IsSaidInANoteThatCountsAsDamage) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  FaultyFileSystem files;
  files.fail(Op::write, EIO);
  const auto report = recover_log(log, files);
  EXPECT_TRUE(says(report, "left as it is, to be finished by the next start: pwrite", true));
  EXPECT_TRUE(report.gaps.empty()) << "nothing is lost";
  EXPECT_EQ(report.next_sequence, 6U);
  EXPECT_TRUE(recover_log(log).notes.empty());
  expect_sound(directory.path());
}

// Who may not change the files has started the wrong daemon in the wrong place.
TEST(RefusedTrailer, ForLackOfPermissionEndsTheStart) {
  for (const int error : {EROFS, EPERM, EACCES}) {
    const TempDirectory directory;
    LogBuilder log(directory.path());
    log.begin();
    log.add_records(5);
    FaultyFileSystem files;
    files.fail(Op::write, error);
    EXPECT_FALSE(recover(files, directory.path(), log.log_uuid).has_value());
  }
}

TEST(RefusedRename, OfASegmentOfAnotherLogEndsTheStart) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.log_uuid = random_uuid();
  FaultyFileSystem files;
  files.fail(Op::rename, EIO);
  EXPECT_FALSE(recover(files, directory.path(), log.log_uuid).has_value());
}

/// A file system that finds one segment's inode, or the sectors of its header, damaged.
class DamagedFileSystem : public test::PassingFileSystem {
 public:
  DamagedFileSystem(std::uint64_t index, int error, Op op)
      : name_(segment_name(index)), error_(error), op_(op) {}
  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    const bool meant = path.find(name_) != std::string::npos;
    if (meant && op_ == Op::open) return failed("open " + path);
    auto fd = PassingFileSystem::open(path, flags, mode);
    if (meant && fd) damaged_ = fd->get();
    return fd;
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    const bool meant = op_ == Op::read && fd == damaged_ && offset == 0;
    damaged_ = offset == 0 ? -1 : damaged_;  // the number may become another file's
    return meant ? failed("pread") : PassingFileSystem::read_at(fd, into, offset);
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (from.find(name_) != std::string::npos && op_ == Op::open) return failed("rename " + from);
    return PassingFileSystem::rename(from, to);
  }

 private:
  [[nodiscard]] Error failed(const std::string& what) const {
    return Error{std::error_code(error_, std::system_category()), what};
  }
  std::string name_;
  int error_;
  Op op_;
  int damaged_ = -1;
};

class RefusedSegment : public ::testing::TestWithParam<Refusal> {};
INSTANTIATE_TEST_SUITE_P(, RefusedSegment,
                         ::testing::Values(Refusal{Op::open, EIO}, Refusal{Op::open, EUCLEAN},
                                           Refusal{Op::open, EBADMSG}, Refusal{Op::read, EUCLEAN},
                                           Refusal{Op::read, EBADMSG}));

TEST_P(RefusedSegment, IsPassedByReadersAndByAStart) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int n = 0; n < 3; ++n) {
    log.begin();
    log.add_records(5);
    log.seal();
  }
  DamagedFileSystem files(2, GetParam().error, GetParam().op);
  const auto expect_passed = [&](ingress::LossReason reason) {
    auto reader = LogReader::open(directory.path(), Access::pread, files);
    ASSERT_TRUE(reader.has_value());
    LogItem item;
    for (int n = 0; n < 5; ++n) ASSERT_EQ(reader->next(item), ReadStatus::item);
    ASSERT_EQ(reader->next(item), ReadStatus::item) << reader->error().message();
    EXPECT_EQ(item.kind, LogItem::Kind::gap);
    EXPECT_EQ(item.gap.reason, reason);
    EXPECT_EQ(item.gap.first.value, 6U);
    EXPECT_EQ(item.gap.last.value, 10U);
    EXPECT_EQ(test::read_to_end(*reader), records(11, 15));
  };
  expect_passed(ingress::LossReason::damaged);
  const auto report = recover_log(log, files);
  EXPECT_EQ(report.segments.size(), 2U);
  EXPECT_EQ(report.next_index, 4U);
  EXPECT_EQ(report.next_sequence, 16U);
  const bool set_aside = GetParam().op == Op::read;  // else it can't be renamed either
  expect_passed(set_aside ? ingress::LossReason::retention : ingress::LossReason::damaged);
}

}  // namespace
}  // namespace fastlogd::segment
