// The store on a disk that is full, fails to sync, or refuses any single operation.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "base/diagnostics.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_file.hpp"
#include "segment/verify.hpp"
#include "support/faulty_file_system.hpp"
#include "support/log_builder.hpp"
#include "support/small_disk.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using segment::Access;
using segment::LogItem;
using segment::LogReader;
using segment::ReadStatus;
using test::FaultyFileSystem;
using test::Op;
using test::StoreHarness;
using test::TempDirectory;

constexpr int kPerBlock = 100;
constexpr std::size_t kRecordBytes = 1000;  // ten blocks fill a segment of 1 MiB

StreamOptions options_in(const TempDirectory& directory, WhenFull when_full = WhenFull::delete_oldest) {
  StreamOptions options;
  options.name = "f" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.durability = {.mode = DurabilityMode::none};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  options.when_full = when_full;
  return options;
}

bool eventually(const std::function<bool()>& done, int tries = 5000) {
  for (int i = 0; i < tries && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

void send_blocks(StoreHarness& harness, int blocks) {
  for (int i = 0; i < blocks; ++i) {
    harness.send(std::vector<std::string>(kPerBlock, std::string(kRecordBytes, 'r')));
  }
}

struct Content {
  std::uint64_t records = 0;
  std::uint64_t lost_full = 0;
  std::uint64_t lost_shutdown = 0;
  std::uint64_t lost_by_clients = 0;
  bool dense = true;
};

Content content(const std::string& directory) {
  Content content;
  auto reader = LogReader::open(directory, Access::mapped);
  EXPECT_TRUE(reader.has_value());
  LogItem item;
  std::uint64_t due = 0;
  while (reader && reader->next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::record) {
      ++content.records;
      content.dense = content.dense && (due == 0 || item.record.sequence.value == due);
      due = item.record.sequence.value + 1;
    } else if (item.gap.reason == ingress::LossReason::segment_full) {
      content.lost_full += item.gap.count;
    } else if (item.gap.reason == ingress::LossReason::shutdown) {
      content.lost_shutdown += item.gap.count;
    } else if (item.gap.reason == ingress::LossReason::client) {
      content.lost_by_clients += item.gap.count;
    }
  }
  return content;
}

void expect_sound(const std::string& directory) {
  const auto report = segment::verify_directory(directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings) {
    EXPECT_EQ(finding.kind, segment::Finding::Kind::note)
        << finding.file << ":" << finding.offset << " " << finding.text;
  }
}

std::uint64_t dropped(const StoreHarness& harness, DropReason reason) {
  return harness.store->counters().dropped_records[static_cast<std::size_t>(reason)].value();
}

TEST(FullDisk, MakesSendersWaitWithBlockAndLosesNothing) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::block);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  files.fail(Op::allocate, ENOSPC);
  std::jthread sender([&] { send_blocks(harness, 80); });  // eight segments, a ring holds two
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  ASSERT_TRUE(eventually([&] { return harness.store->counters().waits_for_segment.value() > 0; }));
  const auto stored = content(options.directory).records;
  EXPECT_GT(stored, 500U) << "readers work on a full disk";
  EXPECT_LT(stored, 80U * kPerBlock);
  files.heal();
  EXPECT_TRUE(harness.wait_until_stored(80 * kPerBlock));
  sender.join();
  EXPECT_FALSE(harness.store->counters().disk_full.load());
  harness.stop();
  EXPECT_EQ(content(options.directory).records, 80U * kPerBlock);
  EXPECT_EQ(dropped(harness, DropReason::segment_full), 0U);
  expect_sound(options.directory);
}

// What is lost in front of the ring has no part in the waiting.
TEST(FullDisk, TellsOfWhatClientsHaveDroppedWhileSendersWait) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::block);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  files.fail(Op::allocate, ENOSPC);
  std::jthread sender([&] { send_blocks(harness, 80); });
  ASSERT_TRUE(eventually([&] { return harness.store->counters().waits_for_segment.value() > 0; }));
  Counter& lost = harness.loss.by_reason[static_cast<std::size_t>(ingress::LossReason::client)];
  const auto told = [&] { return content(options.directory).lost_by_clients; };
  // One by one: first where records no longer fit, then in the room that is kept for GAPs.
  std::uint64_t all = 0;
  do {
    ASSERT_LT(all, 30U) << "a GAP for as much as all before, or the room for them is soon used up";
    lost.add(1);
    ++all;
  } while (eventually([&] { return told() == all; }, 300));
  lost.add(1000);
  all += 1001;
  EXPECT_TRUE(eventually([&] { return told() == all - 1; }));
  lost.add(1);
  files.heal();
  EXPECT_TRUE(harness.wait_until_stored(80 * kPerBlock));
  sender.join();
  harness.stop();
  EXPECT_EQ(told(), all);
  expect_sound(options.directory);
}

TEST(FullDisk, DropsNewestCountsAndSaysSoInAGap) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::drop_newest);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  files.fail(Op::allocate, ENOSPC);
  send_blocks(harness, 100);  // does not block: what does not fit is dropped
  ASSERT_TRUE(eventually([&] { return harness.ring->read() == harness.ring->written(); }));
  const std::uint64_t lost = dropped(harness, DropReason::segment_full);
  EXPECT_GT(lost, 0U);
  files.heal();
  ASSERT_TRUE(eventually([&] { return !harness.store->counters().disk_full.load(); }));
  send_blocks(harness, 10);
  const std::uint64_t stored = 110U * kPerBlock - lost;
  ASSERT_TRUE(harness.wait_until_stored(stored));
  ASSERT_TRUE(eventually([&] { return content(options.directory).lost_full == lost; })) << "while it runs";
  harness.stop();
  const Content after = content(options.directory);
  EXPECT_EQ(after.records, stored);
  EXPECT_EQ(after.lost_full, lost);
  EXPECT_TRUE(after.dense) << "what was dropped got no numbers";
  expect_sound(options.directory);
}

TEST(FullDisk, SaysInAGapWhatWasDroppedEvenIfItIsStillFullAtTheStop) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::drop_newest);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  files.fail(Op::allocate, ENOSPC);
  send_blocks(harness, 100);
  ASSERT_TRUE(eventually([&] { return harness.ring->read() == harness.ring->written(); }));
  harness.stop();
  const Content after = content(options.directory);
  EXPECT_EQ(after.lost_full, dropped(harness, DropReason::segment_full));
  EXPECT_EQ(after.records + after.lost_full, 100U * kPerBlock);
  expect_sound(options.directory);
}

TEST(FullDisk, EndsWithinItsBoundAndSaysWhatItCouldNotStore) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::block);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  // The active one and three ahead: two in the supply, one spare.
  ASSERT_TRUE(eventually([&] { return files.calls(Op::rename) == 4; }));
  files.fail(Op::allocate, ENOSPC);
  send_blocks(harness, 55);  // ten to a segment; the rest stays in the ring
  ASSERT_TRUE(eventually([&] { return harness.store->counters().waits_for_segment.value() > 0; }));
  const auto began = std::chrono::steady_clock::now();
  harness.store->stop(std::chrono::milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3));
  const Content after = content(options.directory);
  EXPECT_GT(dropped(harness, DropReason::shutdown), 0U);
  EXPECT_EQ(after.lost_shutdown, dropped(harness, DropReason::shutdown));
  EXPECT_EQ(after.records + after.lost_shutdown, 55U * kPerBlock);
  expect_sound(options.directory);
}

TEST(FullDisk, DeletesTheOldestAndGoesOnAtOnce) {
  const TempDirectory directory;
  const auto options = options_in(directory, WhenFull::delete_oldest);
  test::SmallDisk files(options.directory, 6);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  send_blocks(harness, 300);
  ASSERT_TRUE(harness.wait_until_stored(300 * kPerBlock));
  harness.stop();
  const std::uint64_t removed = harness.store->counters().segments_removed.value();
  EXPECT_GT(removed, 10U);
  EXPECT_LT(files.pauses, removed / 4) << "no pause per segment, nor for every second one";
  EXPECT_EQ(dropped(harness, DropReason::segment_full), 0U);
  EXPECT_TRUE(content(options.directory).dense);
  expect_sound(options.directory);
}

TEST(FullDisk, AtTheStartIsWaitedFor) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::block);
  files.fail(Op::allocate, ENOSPC);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  send_blocks(harness, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(harness.store->counters().stored_records.value(), 0U);
  files.heal();
  EXPECT_TRUE(harness.wait_until_stored(2 * kPerBlock));
}

/// What the daemon's log says while this lives.
class SaidLines {
 public:
  SaidLines() {
    lines().clear();
    diag::set_sink([](diag::Level, std::string_view line) {
      const std::lock_guard lock(mutex());
      lines().emplace_back(line);
    });
  }
  ~SaidLines() {
    diag::set_sink([](diag::Level, std::string_view line) { fmt::print(stderr, "{}\n", line); });
  }
  SaidLines(const SaidLines&) = delete;
  SaidLines& operator=(const SaidLines&) = delete;
  [[nodiscard]] static bool contain(const std::string& text) {
    const std::lock_guard lock(mutex());
    return std::any_of(lines().begin(), lines().end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> instance;
    return instance;
  }
};

// Dropped for one reason while the disk was full and nothing could tell of it, and for another at the stop.
TEST(FullDisk, TellsWhatWasDroppedForDifferentReasonsApart) {
  const TempDirectory directory;
  FaultyFileSystem files;
  auto options = options_in(directory, WhenFull::drop_newest);
  files.fail(Op::allocate, ENOSPC);
  StoreHarness harness(
      StreamStore::open(std::make_shared<const StreamOptions>(options),
                        {.files = files, .runtime_directory = "/dev/shm", .own_thread = false})
          .value());
  harness.define_source(0, {.identifier = "x"});
  send_blocks(harness, 1);
  (void)harness.store->do_work();
  EXPECT_EQ(dropped(harness, DropReason::segment_full), std::uint64_t{kPerBlock});
  options.when_full = WhenFull::block;
  harness.store->apply(std::make_shared<const StreamOptions>(options));
  send_blocks(harness, 2);
  const SaidLines said;
  harness.store->stop(std::chrono::milliseconds(50));
  EXPECT_EQ(dropped(harness, DropReason::shutdown), 2 * std::uint64_t{kPerBlock});
  EXPECT_TRUE(said.contain("100 records are lost (segment_full)"));
  EXPECT_TRUE(said.contain("200 records are lost (shutdown)"));
}

TEST(SyncThread, TakesANewIntervalAtOnce) {
  const TempDirectory directory;
  auto options = options_in(directory);
  options.durability = {.mode = DurabilityMode::interval, .interval = std::chrono::hours(1)};
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  send_blocks(harness, 1);
  ASSERT_TRUE(harness.wait_until_stored(kPerBlock));
  EXPECT_LT(harness.store->status().durable, harness.store->status().committed);
  options.durability.interval = std::chrono::milliseconds(10);
  harness.store->apply(std::make_shared<const StreamOptions>(options));
  EXPECT_TRUE(eventually([&] {
    const auto status = harness.store->status();
    return status.durable == status.committed;
  }));
}

class Refused : public ::testing::TestWithParam<Op> {};
INSTANTIATE_TEST_SUITE_P(, Refused,
                         ::testing::Values(Op::open, Op::map, Op::rename, Op::sync_directory, Op::allocate));

TEST_P(Refused, StopsNothingButThePreparationAndHeals) {
  const TempDirectory directory;
  FaultyFileSystem files;
  const auto options = options_in(directory, WhenFull::block);
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  files.fail(GetParam(), EMFILE);
  std::jthread sender([&] { send_blocks(harness, 60); });
  ASSERT_TRUE(eventually([&] { return harness.store->counters().housekeeping_errors.value() > 0; }));
  ASSERT_TRUE(eventually([&] { return harness.store->counters().stored_records.value() > 500; }));
  EXPECT_GT(content(options.directory).records, 0U);
  files.heal();
  EXPECT_TRUE(harness.wait_until_stored(60 * kPerBlock));
  sender.join();
  harness.stop();
  EXPECT_EQ(content(options.directory).records, 60U * kPerBlock);
  expect_sound(options.directory);
}

TEST(AnyOperation, MayFailOnceAndNothingCommittedIsLost) {
  for (std::uint64_t nth = 1; nth <= 90; ++nth) {
    SCOPED_TRACE(nth);
    const TempDirectory directory;
    auto options = options_in(directory, WhenFull::block);
    FaultyFileSystem files;
    files.fail_any(EIO, nth);
    std::uint64_t stored = 0;
    auto opened = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                    {.files = files, .runtime_directory = "/dev/shm"});
    if (opened) {
      StoreHarness harness(std::move(*opened));
      harness.define_source(0, {.identifier = "x"});
      send_blocks(harness, 15);
      ASSERT_TRUE(harness.wait_until_stored(15 * kPerBlock));
      stored = 15 * kPerBlock;
      harness.stop();
    } else {
      EXPECT_FALSE(opened.error().message().empty());
    }
    files.heal();
    StoreHarness again(options, files);
    again.define_source(0, {.identifier = "x"});
    send_blocks(again, 1);
    ASSERT_TRUE(again.wait_until_stored(kPerBlock));
    again.stop();
    const Content after = content(options.directory);
    EXPECT_EQ(after.records, stored + kPerBlock);
    EXPECT_TRUE(after.dense);
    expect_sound(options.directory);
  }
}

}  // namespace
}  // namespace fastlogd::append
