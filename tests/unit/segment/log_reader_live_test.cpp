// The reader behind a daemon that writes, rolls, removes and restarts.
#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"
#include "support/passing_file_system.hpp"

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

// One publish for the end of a segment, its SEAL and the begin of the next: what each block does that a roll cuts in two.
TEST_P(LogReaderBy, MissesNothingWhenOnePublishGoesAcrossARoll) {
  constexpr int kRolls = 40;
  LiveLog log(directory_.path());
  log.begin();
  log.publish();
  std::atomic<std::uint64_t> last{0};
  std::jthread writer([&] {
    const std::string text(10'000, '.');
    for (int rolls = 0; rolls < kRolls; ++rolls) {
      for (int i = 0; i < 90; ++i) FASTLOGD_CHECK(log.add(text));
      log.publish();  // the reader comes so far, and spins
      while (log.add(text)) continue;
      log.seal_frame();
      log.begin();
      FASTLOGD_CHECK(log.add(text));
      log.publish();
    }
    last = log.next_sequence - 1;
  });
  auto reader = open(directory_.path());
  LogItem item;
  std::uint64_t due = 1;
  for (int idle = 0; idle < 1000 && (last == 0 || due <= last);) {
    if (reader.next(item) != ReadStatus::item) {  // no wait(): it would hide the race
      if (last != 0) ++idle;
      continue;
    }
    ASSERT_EQ(item.kind, LogItem::Kind::record) << item.gap.first.value << " to " << item.gap.last.value;
    ASSERT_EQ(item.record.sequence.value, due++);
  }
  EXPECT_EQ(due, last + 1);
}

/// Does something once, in the middle of the read at an offset.
class InterruptedFileSystem : public test::PassingFileSystem {
 public:
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    if (offset == at && meanwhile) std::exchange(meanwhile, nullptr)();
    return PassingFileSystem::read_at(fd, into, offset);
  }
  std::uint64_t at = 0;
  std::function<void()> meanwhile;
};

// The same with the publish between the reader's two looks, each time. Damage makes it read something in between.
TEST(LogReaderLive, StaysWithASegmentThatIsLeftWhileItReadsUpToTheLimit) {
  const test::TempDirectory directory;
  LiveLog log(directory.path(), 4 * limits::kMiB);
  const auto fill_block = [&log] {
    const std::uint64_t end = next_block(log.writer.offset());
    while (log.writer.offset() < end) FASTLOGD_CHECK(log.add(std::string(10'000, 'x')));
  };
  log.begin();
  const std::uint64_t damaged = log.writer.offset();
  fill_block();
  log.add_records(3);
  log.publish();
  test::poke(log.current_path(), damaged, std::vector<std::byte>(8));
  test::poke(log.current_path(), kBlockBytes, std::vector<std::byte>(8));
  InterruptedFileSystem files;
  auto reader = LogReader::open(directory.path(), Access::pread, files);
  ASSERT_TRUE(reader);
  std::uint64_t first_whole = 0;
  files.at = kBlockBytes;
  files.meanwhile = [&] {
    fill_block();
    first_whole = log.next_sequence - 1;  // the record that began the third block
    log.add_records(1);
    log.seal_frame();
    log.begin();
    log.add_records(1);
    log.publish();
  };
  EXPECT_EQ(read_to_end(*reader), std::vector<std::string>{});
  ASSERT_NE(first_whole, 0U);
  const auto items = read_to_end(*reader);
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[0], "<1-" + std::to_string(first_whole - 1) + ">");
  EXPECT_EQ(items[3], "record " + std::to_string(log.next_sequence - 1));
}

// What is appended while it looks for the end comes behind it. Damage stops its walk, so that it has to jump.
TEST(LogReaderLive, SeeksTheEndThatWasThereWhenItBegan) {
  const test::TempDirectory directory;
  LiveLog log(directory.path(), 4 * limits::kMiB);
  log.begin();
  while (log.writer.offset() < kBlockBytes) FASTLOGD_CHECK(log.add(std::string(10'000, 'x')));
  const std::uint64_t damaged = log.writer.offset();
  log.add_records(3);
  log.publish();
  test::poke(log.current_path(), damaged, std::vector<std::byte>(8));
  InterruptedFileSystem files;
  auto reader = LogReader::open(directory.path(), Access::pread, files);
  ASSERT_TRUE(reader);
  files.at = kBlockBytes;
  files.meanwhile = [&] {
    log.add_records(1);
    log.publish();
  };
  reader->seek_end();
  EXPECT_EQ(files.meanwhile, nullptr) << "nothing was read there";
  const auto items = read_to_end(*reader);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0], "record " + std::to_string(log.next_sequence - 1));
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
