#include "append/stream_store.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_file.hpp"
#include "segment/verify.hpp"
#include "support/faulty_file_system.hpp"
#include "support/log_builder.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using segment::Access;
using segment::LogItem;
using segment::LogReader;
using segment::ReadStatus;
using test::StoreHarness;
using test::TempDirectory;

StreamOptions options_in(const TempDirectory& directory, std::uint64_t segment_bytes = limits::kMiB) {
  StreamOptions options;
  options.name =
      "t" + std::to_string(::getpid()) + std::filesystem::path(directory.path()).filename().string();
  options.directory = directory.path() + "/log";
  options.segment_bytes = segment_bytes;
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

std::vector<std::string> numbered(int from, int count) {
  std::vector<std::string> messages;
  for (int i = from; i < from + count; ++i) messages.push_back("message number " + std::to_string(i));
  return messages;
}

std::vector<std::string> read_all(LogReader& reader) {
  std::vector<std::string> messages;
  LogItem item;
  while (reader.next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::record) messages.emplace_back(item.record.message());
  }
  return messages;
}

bool eventually(const std::function<bool()>& done, int tries = 5000) {
  for (int i = 0; i < tries && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

void expect_sound(const std::string& directory) {
  const auto report = segment::verify_directory(directory, {});
  ASSERT_TRUE(report.has_value()) << report.error().message();
  for (const auto& finding : report->findings) {
    EXPECT_EQ(finding.kind, segment::Finding::Kind::note)
        << finding.file << ":" << finding.offset << " " << finding.text;
  }
}

TEST(StreamStore, GivesBackWhatWasSentInOrderWhileItRuns) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(
      0, {.transport = Transport::unix_stream, .uid = 7, .pid = 9, .host = "h", .identifier = "app"});
  harness.send(numbered(0, 100));
  ASSERT_TRUE(harness.wait_until_stored(100));
  auto reader = LogReader::open(options.directory, Access::mapped);
  ASSERT_TRUE(reader.has_value()) << reader.error().message();
  EXPECT_TRUE(reader->live());
  LogItem item;
  ASSERT_EQ(reader->next(item), ReadStatus::item);
  EXPECT_EQ(item.record.source.identifier, "app");
  EXPECT_EQ(item.record.source.uid, 7U);
  EXPECT_EQ(item.record.sequence.value, 1U);
  EXPECT_EQ(read_all(*reader), numbered(1, 99));
  expect_sound(options.directory);
}

TEST(StreamStore, RollsAcrossManySegmentsAndStaysSoundAfterAStop) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  constexpr int kBlocks = 400;
  {
    StoreHarness harness(options);
    harness.define_source(0, {.transport = Transport::tcp, .host = "far", .identifier = "x"});
    for (int i = 0; i < kBlocks; ++i) harness.send(numbered(i * 200, 200));
    ASSERT_TRUE(harness.wait_until_stored(kBlocks * 200));
    harness.stop();
    EXPECT_GT(harness.store->counters().rolls.value(), 3U);
  }
  expect_sound(options.directory);
  for (const Access access : {Access::mapped, Access::pread}) {
    auto reader = LogReader::open(options.directory, access);
    ASSERT_TRUE(reader.has_value());
    EXPECT_FALSE(reader->live());
    EXPECT_EQ(read_all(*reader), numbered(0, kBlocks * 200));
  }
}

TEST(StreamStore, ContinuesItsNumbersAfterARestart) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  for (int run = 0; run < 3; ++run) {
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    harness.send(numbered(run * 10, 10));
    ASSERT_TRUE(harness.wait_until_stored(10));
    harness.stop();
  }
  expect_sound(options.directory);
  auto reader = LogReader::open(options.directory, Access::mapped);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(read_all(*reader), numbered(0, 30));
  ASSERT_TRUE(reader->seek_sequence(Sequence{17}));
  LogItem item;
  ASSERT_EQ(reader->next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 17U);
  EXPECT_EQ(item.record.message(), "message number 16");
  EXPECT_EQ(item.record.source.identifier, "x");
}

TEST(StreamStore, WalksBackwardsToTheOldestRecord) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  {
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    for (int i = 0; i < 100; ++i) harness.send(numbered(i * 200, 200));
    ASSERT_TRUE(harness.wait_until_stored(20000));
    harness.stop();
  }
  auto reader = LogReader::open(options.directory, Access::pread);
  ASSERT_TRUE(reader.has_value());
  reader->seek_end();
  LogItem item;
  int due = 20000;
  while (reader->previous(item) == ReadStatus::item) {
    if (item.kind != LogItem::Kind::record) continue;
    ASSERT_EQ(item.record.message(), "message number " + std::to_string(--due));
    ASSERT_EQ(item.record.source.identifier, "x");
  }
  EXPECT_EQ(due, 0);
}

TEST(StreamStore, ReportsWhatAnIoThreadLostAsAGap) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.loss.by_reason[static_cast<std::size_t>(ingress::LossReason::kernel_udp)].add(17);
  harness.send(numbered(0, 1));
  ASSERT_TRUE(harness.wait_until_stored(1));
  harness.stop();
  auto reader = LogReader::open(options.directory, Access::mapped);
  ASSERT_TRUE(reader.has_value());
  LogItem item;
  std::uint64_t lost = 0;
  while (reader->next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::gap) {
      EXPECT_EQ(item.gap.reason, ingress::LossReason::kernel_udp);
      lost += item.gap.count;
    }
  }
  EXPECT_EQ(lost, 17U);
}

TEST(StreamStore, MakesEverythingDurableWhenAsked) {
  const TempDirectory directory;
  auto options = options_in(directory);
  options.durability = {.mode = DurabilityMode::none};
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.send(numbered(0, 50));
  ASSERT_TRUE(harness.wait_until_stored(50));
  EXPECT_LT(harness.store->status().durable, harness.store->status().committed);
  ASSERT_TRUE(harness.store->sync(std::chrono::seconds(10)));
  EXPECT_EQ(harness.store->status().durable, harness.store->status().committed);
}

TEST(StreamStore, RefusesADirectoryThatAnotherStoreHolds) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  const StoreHarness harness(options);
  const auto second = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                        {.files = posix_file_system(), .runtime_directory = "/dev/shm"});
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message().find("locked by another"), std::string::npos)
      << second.error().message();
}

TEST(StreamStore, KeepsNoMoreThanRetentionAllows) {
  const TempDirectory directory;
  auto options = options_in(directory);
  options.retention.bytes_max = 8 * limits::kMiB;
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  for (int i = 0; i < 1000; ++i) harness.send(numbered(i * 200, 200));
  ASSERT_TRUE(harness.wait_until_stored(200000));
  harness.stop();
  EXPECT_GT(harness.store->counters().segments_removed.value(), 0U);
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options.directory)) bytes += entry.file_size();
  EXPECT_LE(bytes, options.retention.bytes_max + limits::kMiB);
  expect_sound(options.directory);
}

// Both are replaced by the next start in the same runtime directory, and by nobody in another one.
TEST(StreamStore, LeavesNoControlFilesWhenItCannotOpen) {
  for (const test::Op op : {test::Op::write, test::Op::sync}) {
    const TempDirectory directory;
    const TempDirectory runtime("/dev/shm");
    test::FaultyFileSystem files;
    files.fail(op, EROFS, 1, 1);  // of LOCK
    const auto options = options_in(directory);
    const auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                         {.files = files, .runtime_directory = runtime.path()});
    ASSERT_FALSE(store.has_value());
    EXPECT_TRUE(store.error().message().starts_with(options.directory + "/LOCK: "))
        << store.error().message();
    EXPECT_TRUE(std::filesystem::is_empty(runtime.path()));
  }
}

TEST(StreamStore, SaysWhichFileCouldNotBePrepared) {
  for (const test::Op op : {test::Op::allocate, test::Op::write, test::Op::sync, test::Op::map}) {
    const TempDirectory directory;
    test::FaultyFileSystem files;
    // LOCK is written and synced first.
    files.fail(op, EACCES, op == test::Op::write || op == test::Op::sync ? 2 : 1);
    const auto options = options_in(directory);
    const auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                         {.files = files, .runtime_directory = "/dev/shm"});
    ASSERT_FALSE(store.has_value());
    EXPECT_TRUE(store.error().message().starts_with(segment::segment_path(options.directory, 1)))
        << store.error().message();
  }
}

class DiskTrouble : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, DiskTrouble, ::testing::Values(EIO, ENOSPC, EDQUOT));

TEST_P(DiskTrouble, AtTheFirstSegmentIsWaitedFor) {
  for (const test::Op op : {test::Op::open, test::Op::allocate, test::Op::write, test::Op::sync,
                            test::Op::rename, test::Op::sync_directory, test::Op::map}) {
    const TempDirectory directory;
    test::FaultyFileSystem files;
    const bool of_lock_too = op == test::Op::open || op == test::Op::write || op == test::Op::sync;
    files.fail(op, GetParam(), of_lock_too ? 2 : 1);
    const auto options = options_in(directory);
    auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                   {.files = files, .runtime_directory = "/dev/shm"});
    ASSERT_TRUE(store.has_value()) << store.error().message();
    StoreHarness harness(std::move(*store));
    EXPECT_TRUE(harness.store->counters().disk_full.load());
    EXPECT_EQ(harness.store->counters().prepare_error.load(), GetParam());
    harness.define_source(0, {.identifier = "x"});
    harness.send(numbered(0, 100));
    files.heal();
    ASSERT_TRUE(harness.wait_until_stored(100));
    EXPECT_FALSE(harness.store->counters().disk_full.load());
    auto reader = LogReader::open(options.directory, segment::Access::mapped);
    ASSERT_TRUE(reader.has_value());
    EXPECT_TRUE(reader->live());
    EXPECT_EQ(read_all(*reader), numbered(0, 100));
    harness.stop();
    expect_sound(options.directory);
  }
}

// LOCK is described as soon as the disk takes something.
TEST_P(DiskTrouble, AtTheTextOfLockIsNoReasonNotToStart) {
  for (const test::Op op : {test::Op::write, test::Op::sync}) {
    const TempDirectory directory;
    test::FaultyFileSystem files;
    files.fail(op, GetParam());
    const auto options = options_in(directory);
    auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                   {.files = files, .runtime_directory = "/dev/shm"});
    ASSERT_TRUE(store.has_value()) << store.error().message();
    StoreHarness harness(std::move(*store));
    harness.define_source(0, {.identifier = "x"});
    harness.send(numbered(0, 100));
    if (op == test::Op::write) {
      EXPECT_FALSE(segment::ControlReader::open(options.directory).has_value());
    }
    files.heal();
    ASSERT_TRUE(harness.wait_until_stored(100));
    // A moment behind the segment that the records are in.
    EXPECT_TRUE(eventually([&] { return segment::ControlReader::open(options.directory).has_value(); }));
    EXPECT_EQ(segment::look_at_lock(options.directory).log_uuid, harness.store->recovery().log_uuid);
    harness.stop();
    expect_sound(options.directory);
  }
}

// They are counted with recovery's own, and health judges by that.
TEST(StreamStore, RemembersWhatTheComparisonWithTheDiskFound) {
  class NoDirect : public test::PassingFileSystem {
    Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
      if ((flags & O_DIRECT) != 0) return Error{std::error_code(EINVAL, std::system_category()), "open"};
      return test::PassingFileSystem::open(path, flags, mode);
    }
  } files;
  const TempDirectory directory;
  const auto options = options_in(directory);
  test::LogBuilder log(options.directory);
  log.begin();
  log.add_records(5);
  const StoreHarness harness(options, files);
  ASSERT_EQ(harness.store->recovery().notes.size(), 1U);
  EXPECT_NE(harness.store->recovery().notes.front().text.find("can't be compared with the disk"),
            std::string::npos);
}

// What an interrupted attempt to prepare a segment has left is in nobody's way.
TEST(StreamStore, PreparesASegmentAlthoughItsTemporaryCouldNotBeRemoved) {
  const TempDirectory directory;
  test::FaultyFileSystem files;
  files.fail(test::Op::allocate, EIO, 1, 1);
  files.fail(test::Op::unlink, EIO, 1, 1);
  StoreHarness harness(options_in(directory), files);
  harness.define_source(0, {.identifier = "x"});
  harness.send(numbered(0, 10));
  EXPECT_TRUE(harness.wait_until_stored(10));
}

// Whoever sees that one roll is done may ask for the next: that is another request.
TEST(StreamStore, RotatesAsOftenAsItIsAskedToOneBehindTheOther) {
  const TempDirectory directory;
  StoreHarness harness(options_in(directory));
  const Counter& rolls = harness.store->counters().rolls;
  for (std::uint64_t asked = 1; asked <= 200; ++asked) {
    harness.store->rotate();
    const std::int64_t deadline = monotonic_ns() + 30 * kNanosPerSecond;
    while (rolls.value() < asked && monotonic_ns() < deadline) continue;
    ASSERT_EQ(rolls.value(), asked);
  }
}

}  // namespace
}  // namespace fastlogd::append
