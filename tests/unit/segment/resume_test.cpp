// Going on at a place that was stored, whatever has become of the log since.
#include <filesystem>

#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"
#include "recovery_fixture.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::read_to_end;
using test::records;

TEST_P(LogReaderBy, TellsWhatIsMissingRightBehindThePlaceItIsSentTo) {
  LogBuilder log(directory_.path(), 4 * limits::kMiB);
  log.begin();
  log.fill(1000);
  log.seal();
  auto reader = open(directory_.path());
  LogItem item;
  LogPosition place;
  Sequence last;
  while (reader.next(item) == ReadStatus::item && item.position.offset() < kBlockBytes) {
    place = item.next;
    last = item.record.sequence;
  }
  test::flip_bit(log.path(1), kBlockBytes + 8, 0);
  ASSERT_TRUE(reader.seek(place, last));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  EXPECT_EQ(item.gap.reason, ingress::LossReason::damaged);
  EXPECT_EQ(item.gap.first.value, last.value + 1);
  const Sequence behind{item.gap.last.value + 1};
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence, behind);
}

TEST_P(LogReaderBy, GoesOnAtTheEndOfASegmentThatEndsInDamage) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t at = log.writer.offset();
  log.add_records(5);
  log.seal();
  log.begin();
  log.add_records(5);
  test::flip_bit(log.path(1), at + 34, 0);
  auto reader = open(directory_.path());
  LogItem item;
  for (int n = 0; n < 6; ++n) ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  ASSERT_TRUE(reader.seek(item.next, item.gap.last));
  EXPECT_EQ(read_to_end(reader), records(11, 15));
}

TEST_P(LogReaderBy, CountsWhatRetentionRemovedBehindThePlaceItIsSentTo) {
  LogBuilder log(directory_.path());
  for (int n = 0; n < 3; ++n) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  auto reader = open(directory_.path());
  LogItem item;
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  const LogPosition place = item.next;
  std::filesystem::remove(log.path(1));
  std::filesystem::remove(log.path(2));
  ASSERT_TRUE(reader.seek(place, Sequence{1}));
  EXPECT_EQ(read_to_end(reader), joined({"<2-20>"}, records(21, 30)));
}

/// Eight records were read, of which a power loss took five; the next run gives their numbers anew.
TEST_P(LogReaderBy, MissesNothingThatGotTheNumbersOfWhatAPowerLossTook) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(3);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  const LogPosition place = log.writer.position();
  test::poke(log.path(1), end, std::vector<std::byte>(log.writer.offset() - end));
  restart(log, recover_log(log), 7);
  auto reader = open(directory_.path());
  for (const Sequence last : {Sequence{8}, Sequence{}}) {
    ASSERT_TRUE(reader.seek(place, last));
    EXPECT_EQ(reader.position(), LogPosition::of(1, end));
    EXPECT_EQ(read_to_end(reader), records(4, 10));
  }
}

TEST_P(LogReaderBy, RefusesAPlaceBehindTheEndOfASealedSegment) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(3);
  log.seal();
  auto reader = open(directory_.path());
  EXPECT_FALSE(reader.seek(LogPosition::of(1, log.writer.offset() + 64), Sequence{5}).has_value());
}

}  // namespace
}  // namespace fastlogd::segment
