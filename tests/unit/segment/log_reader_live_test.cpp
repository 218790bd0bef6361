// The reader behind a daemon that writes, rolls, removes and restarts.
#include <thread>

#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"

namespace fastlogd::segment {
namespace {

using test::LiveLog;
using test::LogBuilder;
using test::read_to_end;
using test::records;

TEST_P(LogReaderBy, ReadsOnlyBelowTheCommittedPosition) {
  LiveLog log(directory_.path());
  log.begin();
  log.add_records(3);
  log.publish();
  log.add_records(3);
  auto reader = open(directory_.path());
  EXPECT_TRUE(reader.live());
  EXPECT_EQ(read_to_end(reader), records(1, 3));
  log.publish();
  EXPECT_EQ(read_to_end(reader), records(4, 6));
}

TEST_P(LogReaderBy, ReportsARecordDamagedBelowTheCommittedPosition) {
  LiveLog log(directory_.path(), 2 * limits::kMiB);
  log.begin();
  log.add_records(3);
  const std::uint64_t at = log.writer.offset();
  while (log.writer.offset() < kBlockBytes) ASSERT_TRUE(log.add(std::string(10'000, 'x')));
  const std::uint64_t sequence = log.next_sequence;
  log.add_records(1);
  log.publish();
  test::poke(log.current_path(), at, std::vector<std::byte>(8));  // its commit word: as if never published
  auto reader = open(directory_.path());
  const auto items = read_to_end(reader);
  ASSERT_GE(items.size(), 5U);
  EXPECT_EQ(items[3].substr(0, 3), "<4-");
  EXPECT_EQ(items.back(), "record " + std::to_string(sequence));
}

TEST_P(LogReaderBy, FollowsAWriterInAnotherThread) {
  LiveLog log(directory_.path());
  log.begin();
  log.publish();
  constexpr int kRecords = 60'000;
  std::jthread writer([&] {
    for (int i = 0; i < kRecords; ++i) {
      if (!log.add("record " + std::to_string(log.next_sequence) + std::string(100, '.'))) {
        log.seal();
        log.begin();
        --i;
      }
      if (i % 7 == 0) log.publish();
    }
    log.publish();
  });
  auto reader = open(directory_.path());
  LogItem item;
  std::uint64_t due = 1;
  for (int idle = 0; due <= kRecords && idle < 1000;) {
    if (reader.next(item) == ReadStatus::item) {
      ASSERT_EQ(item.kind, LogItem::Kind::record);
      ASSERT_EQ(item.record.sequence.value, due);
      ASSERT_TRUE(item.record.message().starts_with("record " + std::to_string(due) + "."));
      ++due;
      idle = 0;
    } else {
      ++idle;
      reader.wait(std::chrono::milliseconds(20));
    }
  }
  EXPECT_EQ(due, kRecords + 1U);
  EXPECT_GT(log.next_index, 5U);
}

TEST_P(LogReaderBy, OpenedBeforeTheDaemonMissesNothingWhenSegmentsRoll) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(1);
  auto reader = open(directory_.path());  // no daemon: goes by checksums
  std::jthread writer([&] {
    for (int i = 0; i < 60'000; ++i) {
      if (log.add("record " + std::to_string(log.next_sequence) + std::string(100, '.'))) continue;
      log.seal();
      log.begin();
    }
  });
  LogItem item;
  std::uint64_t due = 1;
  for (int idle = 0; idle < 2000 && due < 50'000;) {
    if (reader.next(item) != ReadStatus::item) {
      ++idle;
      std::this_thread::yield();
      continue;
    }
    idle = 0;
    ASSERT_EQ(item.kind, LogItem::Kind::record) << item.gap.first.value << " to " << item.gap.last.value;
    ASSERT_EQ(item.record.sequence.value, due++);
  }
}

TEST_P(LogReaderBy, OvertakenByRetentionNamesWhatItMissed) {
  LiveLog log(directory_.path());
  for (int i = 0; i < 4; ++i) {
    log.begin();
    log.add_records(10);
    if (i < 3) log.seal();
    log.publish();
  }
  auto reader = open(directory_.path());
  LogItem item;
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  const LogPosition early = item.next;
  log.control->set_oldest(LogPosition::of(3, kHeaderBytes));
  ASSERT_EQ(::unlink(log.path(1).c_str()), 0);
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  EXPECT_EQ(read_to_end(reader), joined(joined(records(2, 10), {"<11-20>"}), records(21, 40)));
  ASSERT_TRUE(reader.seek(early));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(item.kind, LogItem::Kind::gap) << "a position that retention has removed yields a gap";
  EXPECT_EQ(item.gap.reason, ingress::LossReason::retention);
  EXPECT_EQ(read_to_end(reader), records(21, 40));
}

TEST_P(LogReaderBy, GoesOnBehindARestartedDaemon) {
  auto log = std::make_unique<LiveLog>(directory_.path());
  log->begin();
  log->add_records(10);
  log->publish();
  auto reader = open(directory_.path());
  EXPECT_EQ(read_to_end(reader), records(1, 10));
  log->add_records(5);  // whole, never published: the daemon died in between
  log->die();
  EXPECT_FALSE(reader.live());
  reader.wait(std::chrono::milliseconds(1));
  EXPECT_EQ(read_to_end(reader), records(11, 15)) << "a dead log is read by checksum";
  log->seal();
  log->epoch = 2;
  log->start();
  log->begin();
  log->add_records(10);
  log->publish();
  reader.wait(std::chrono::milliseconds(1));
  EXPECT_TRUE(reader.live());
  EXPECT_EQ(read_to_end(reader), records(16, 25));
}

TEST_P(LogReaderBy, SleepsWhenThereIsNothingNewEvenIfItStandsBehindDamage) {
  LiveLog log(directory_.path());
  log.begin();
  log.add_records(3);
  const std::uint64_t at = log.writer.offset();
  log.add_records(3);
  log.publish();
  test::flip_bit(log.current_path(), at + 34, 0);
  auto reader = open(directory_.path());
  (void)read_to_end(reader);
  const auto began = std::chrono::steady_clock::now();
  reader.wait(std::chrono::milliseconds(100));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(90))
      << "a reader that can go no further must not spin";
}

}  // namespace
}  // namespace fastlogd::segment
