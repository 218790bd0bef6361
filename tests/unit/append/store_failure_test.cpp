// A store or a write that the file system refuses: final for its segment, and nothing that was in a ring is lost.
#include <fcntl.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_file.hpp"
#include "segment/verify.hpp"
#include "support/sick_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::RingProducer;
using test::SickFileSystem;
using test::StoreHarness;
using test::TempDirectory;

constexpr int kPerBlock = 20;
constexpr std::uint64_t kSegmentBytes = SickFileSystem::kSegmentBytes;

bool eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 10000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

struct Sent {
  explicit Sent(StoreHarness& to) : harness(to) { harness.define_source(0, {.identifier = "x"}); }
  void blocks(int count) { blocks(count, harness); }
  void blocks(int count, RingProducer& producer) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::string> messages;
      for (int j = 0; j < kPerBlock; ++j)
        messages.push_back(std::to_string(++number) + std::string(2000, '.'));
      producer.send(messages);
    }
  }
  [[nodiscard]] bool stored() const { return harness.wait_until_stored(number); }
  StoreHarness& harness;
  std::uint64_t number = 0;
};

struct Content {
  std::vector<std::uint64_t> numbers;
  std::uint64_t unknown_first = 0;  ///< of the GAP "durability unknown"
  std::uint64_t unknown_last = 0;
  std::uint64_t shutdown_gaps = 0;
  std::uint64_t lost_shutdown = 0;
  std::uint64_t other_gaps = 0;
};

Content content(const std::string& directory, segment::Access access) {
  Content found;
  auto reader = segment::LogReader::open(directory, access);
  EXPECT_TRUE(reader.has_value());
  segment::LogItem item;
  while (reader->next(item) == segment::ReadStatus::item) {
    if (item.kind == segment::LogItem::Kind::record) {
      EXPECT_EQ(item.record.sequence.value, std::stoull(std::string(item.record.message())));
      found.numbers.push_back(item.record.sequence.value);
    } else if (item.gap.reason == ingress::LossReason::durability_unknown) {
      found.unknown_first = item.gap.first.value;
      found.unknown_last = item.gap.last.value;
    } else if (item.gap.reason == ingress::LossReason::shutdown) {
      ++found.shutdown_gaps;
      found.lost_shutdown += item.gap.count;
    } else {
      ++found.other_gaps;
    }
  }
  return found;
}

void expect_all_once(const StreamOptions& options, std::uint64_t records, std::uint64_t lost_shutdown = 0) {
  for (const auto access : {segment::Access::pread, segment::Access::mapped}) {
    const Content found = content(options.directory, access);
    std::vector<std::uint64_t> all(records);
    for (std::uint64_t i = 0; i < records; ++i) all[i] = i + 1;
    EXPECT_EQ(found.numbers, all);
    EXPECT_EQ(found.other_gaps, 0U);
    EXPECT_EQ(found.shutdown_gaps, lost_shutdown > 0 ? 1U : 0U);
    EXPECT_EQ(found.lost_shutdown, lost_shutdown);
  }
}

void expect_sound(const StreamOptions& options) {
  const auto report = segment::verify_directory(options.directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings)
    ADD_FAILURE() << finding.file << ":" << finding.offset << ": " << finding.text;
}

struct Case {
  WriteBy write;
  DurabilityMode mode;
};

class StoreFailure : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] StreamOptions options() const {
    StreamOptions options;
    options.name = "sf" + std::to_string(::getpid());
    options.directory = directory_.path() + "/log";
    options.segment_bytes = kSegmentBytes;
    options.write = GetParam().write;
    options.durability = {.mode = GetParam().mode};
    options.retention = {.bytes_max = 0, .keep_free = 0};
    return options;
  }
  /// The active segment takes no store behind what is committed there by now. heal() makes it as long as it was.
  void break_active(StoreHarness& harness) {
    if (GetParam().write == WriteBy::pwrite) {
      files.failures = 1;
      return;
    }
    const LogPosition committed = harness.store->committed();
    path_ = segment::segment_path(options().directory, committed.segment());
    const auto page = std::uint64_t{limits::kPageBytes};
    std::filesystem::resize_file(path_, (committed.offset() + page - 1) / page * page);
  }
  /// The same of a prepared segment, behind what its first frames take.
  void break_next(std::uint64_t index) {
    if (GetParam().write == WriteBy::pwrite) {
      files.spared = 1;  // the SEAL of the one before
      files.failures = 1;
      return;
    }
    path_ = segment::segment_path(options().directory, index);
    std::filesystem::resize_file(path_, segment::kHeaderBytes + std::uint64_t{3} * limits::kPageBytes);
  }
  void heal() {
    if (!path_.empty()) std::filesystem::resize_file(path_, kSegmentBytes);
  }

  SickFileSystem files;

 private:
  TempDirectory directory_;
  std::string path_;
};
INSTANTIATE_TEST_SUITE_P(, StoreFailure,
                         ::testing::Values(Case{WriteBy::mapping, DurabilityMode::none},
                                           Case{WriteBy::small_pages, DurabilityMode::group},
                                           Case{WriteBy::pwrite, DurabilityMode::none},
                                           Case{WriteBy::pwrite, DurabilityMode::group}));

TEST_P(StoreFailure, EndsTheSegmentAndStoresTheSameRecordsInTheNext) {
  std::optional<StoreHarness> run(std::in_place, options(), files);
  StoreHarness& harness = *run;
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  if (GetParam().mode == DurabilityMode::group) {
    // All on disk: the failure of the store alone has to bring the fail-over about.
    ASSERT_TRUE(eventually([&] { return harness.store->durable() == harness.store->committed(); }));
  }
  const std::uint64_t before = harness.store->committed().segment();
  break_active(harness);
  sent.blocks(10);  // 400 KiB: the segment had room for them
  ASSERT_TRUE(sent.stored());
  EXPECT_GT(harness.store->committed().segment(), before);
  EXPECT_TRUE(eventually([&] { return harness.store->counters().fail_overs.value() == 1; }));
  EXPECT_FALSE(harness.store->counters().store_failed.load()) << "durable again";
  heal();
  expect_all_once(options(), sent.number);
  expect_sound(options());
  sent.blocks(150);  // rolls go on
  ASSERT_TRUE(sent.stored());
  EXPECT_FALSE(harness.store->sync(std::chrono::seconds(10))) << "who syncs by hand is told once";
  ASSERT_TRUE(harness.store->sync(std::chrono::seconds(10)));
  EXPECT_EQ(harness.store->counters().stored_records.value(), sent.number) << "counted once each";
  expect_all_once(options(), sent.number);
  harness.stop();
  const std::uint64_t all = sent.number;
  run.reset();
  expect_all_once(options(), all);
  expect_sound(options());
  const StoreHarness again(options(), files);
  for (const auto& note : again.store->recovery().notes) ADD_FAILURE() << note.file << ": " << note.text;
  expect_all_once(options(), all);
  expect_sound(options());
}

// Its OPEN is in the file by then, its first batch is not.
TEST_P(StoreFailure, OfASegmentsFirstBatchLeavesAFileThatIsTakenForUnused) {
  std::optional<StoreHarness> run(std::in_place, options(), files);
  StoreHarness& harness = *run;
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  ASSERT_TRUE(eventually([&] { return harness.store->counters().segments_prepared.value() >= 2; }));
  const std::uint64_t refusing = harness.store->committed().segment() + 1;
  break_next(refusing);
  harness.store->rotate();
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  EXPECT_GT(harness.store->committed().segment(), refusing);
  heal();
  expect_all_once(options(), sent.number);
  expect_sound(options());
  harness.stop();
  run.reset();
  expect_sound(options());
  const StoreHarness again(options(), files);
  for (const auto& note : again.store->recovery().notes) ADD_FAILURE() << note.file << ": " << note.text;
  expect_all_once(options(), sent.number);
  expect_sound(options());
}

TEST_P(StoreFailure, NamesWhatWasNotOnDisk) {
  StoreHarness harness(options(), files);
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  ASSERT_TRUE(harness.store->sync(std::chrono::seconds(10)));
  break_active(harness);
  sent.blocks(1);
  ASSERT_TRUE(sent.stored());
  ASSERT_TRUE(eventually([&] { return harness.store->counters().fail_overs.value() == 1; }));
  heal();
  const Content found = content(options().directory, segment::Access::pread);
  EXPECT_EQ(found.unknown_first, 0U) << "everything committed there was durable";
  EXPECT_EQ(found.numbers.size(), sent.number);
}

StreamOptions pwrite_options(const TempDirectory& directory) {
  StreamOptions options;
  options.name = "sf" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = kSegmentBytes;
  options.write = WriteBy::pwrite;
  options.durability = {.mode = DurabilityMode::none};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

TEST(StoreFailureByWrite, OfASealIsAFailOverToo) {
  const TempDirectory directory;
  SickFileSystem files;
  const StreamOptions options = pwrite_options(directory);
  StoreHarness harness(options, files);
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  files.failures = 1;
  harness.store->rotate();  // nothing but the SEAL to be written
  ASSERT_TRUE(eventually([&] { return harness.store->counters().fail_overs.value() == 1; }));
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  harness.stop();
  expect_all_once(options, sent.number);
}

TEST(StoreFailureByWrite, OverAndOverLosesNothing) {
  const TempDirectory directory;
  SickFileSystem files;
  files.error = ENOSPC;
  const StreamOptions options = pwrite_options(directory);
  StoreHarness harness(options, files);
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  files.failures = 3;  // the next segment can't even take its OPEN
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  harness.stop();
  expect_all_once(options, sent.number);
}

/// The appender's cycles are the test's own.
std::unique_ptr<StreamStore> open_without_thread(const StreamOptions& options, FileSystem& files) {
  return StreamStore::open(std::make_shared<const StreamOptions>(options),
                           {.files = files, .runtime_directory = "/dev/shm", .own_thread = false})
      .value();
}

bool work_until(StoreHarness& harness, std::uint64_t stored) {
  return eventually([&] {
    (void)harness.store->do_work();
    return harness.store->counters().stored_records.value() >= stored;
  });
}

/// In the cycle in which the next store fails nothing is taken from any ring; later everything is stored, once.
void expect_nothing_taken_in_the_failing_cycle(StoreHarness& harness, SickFileSystem& files, const Sent& sent,
                                               const StreamOptions& options) {
  files.failures = 1;
  (void)harness.store->do_work();
  EXPECT_EQ(harness.store->counters().stored_records.value(), 0U);
  ASSERT_TRUE(work_until(harness, sent.number));
  harness.stop();
  EXPECT_EQ(harness.store->counters().stored_records.value(), sent.number);
  expect_all_once(options, sent.number);
}

// In the same cycle: what the abandoned segment took would be acknowledged and lost.
TEST(StoreFailureByWrite, OfARotationsSealLeavesTheRingsAsTheyAre) {
  const TempDirectory directory;
  SickFileSystem files;
  const StreamOptions options = pwrite_options(directory);
  StoreHarness harness(open_without_thread(options, files));
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(eventually([&] { return harness.store->counters().segments_prepared.value() >= 3; }));
  harness.store->rotate();
  expect_nothing_taken_in_the_failing_cycle(harness, files, sent, options);
}

TEST(StoreFailureByWrite, OfOneRingsBatchLeavesTheOtherRingAsItIs) {
  const TempDirectory directory;
  SickFileSystem files;
  const StreamOptions options = pwrite_options(directory);
  RingProducer second;
  auto store = open_without_thread(options, files);
  StoreHarness harness([&] {
    second.attach_to(*store);
    return std::move(store);
  }());
  second.define_source(0, {.identifier = "y"});
  Sent sent(harness);
  sent.blocks(3, second);  // attached first, emptied first
  sent.blocks(3);
  expect_nothing_taken_in_the_failing_cycle(harness, files, sent, options);
}

// The segment that is left can be synced and sealed, and nothing is committed in the one that can't take a batch.
TEST(StoreFailureByWrite, OfTheFirstBatchBehindARollIsAFailOverToo) {
  const TempDirectory directory;
  SickFileSystem files;
  const StreamOptions options = pwrite_options(directory);
  StoreHarness harness(options, files);
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  files.spared = 1;  // the SEAL
  files.failures = 1;
  harness.store->rotate();
  EXPECT_TRUE(eventually([&] { return harness.store->counters().fail_overs.value() == 1; }));
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  harness.stop();
  expect_all_once(options, sent.number);
}

TEST(StoreFailureByWrite, StopsTheDaemonWhereThatIsConfigured) {
  const TempDirectory directory;
  SickFileSystem files;
  StreamOptions options = pwrite_options(directory);
  options.durability.on_failure = OnSyncFailure::stop;
  std::atomic<int> gave_up{0};
  StoreHarness harness(
      StreamStore::open(
          std::make_shared<const StreamOptions>(options),
          {.files = files, .runtime_directory = "/dev/shm", .gave_up = [&] { gave_up.fetch_add(1); }})
          .value());
  Sent sent(harness);
  sent.blocks(2);
  ASSERT_TRUE(sent.stored());
  ASSERT_TRUE(eventually([&] { return harness.store->counters().segments_prepared.value() >= 3; }));
  const std::uint64_t stored = sent.number;
  const LogPosition committed = harness.store->committed();
  files.failures = 1;
  sent.blocks(1);
  ASSERT_TRUE(eventually([&] { return gave_up.load() == 1; }));
  EXPECT_TRUE(harness.store->counters().store_failed.load());
  EXPECT_FALSE(harness.store->sync(std::chrono::seconds(10)));
  EXPECT_EQ(harness.store->committed(), committed) << "nothing that the file refused is published";
  const auto began = std::chrono::steady_clock::now();
  harness.store->stop(std::chrono::seconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10)) << "nothing to wait for";
  EXPECT_EQ(harness.store->counters().stored_records.value(), stored);
  EXPECT_EQ(harness.store->counters().dropped_records[static_cast<std::size_t>(DropReason::shutdown)].value(),
            sent.number - stored);
  EXPECT_EQ(gave_up.load(), 1);
  expect_all_once(options, stored, sent.number - stored);
  harness.store.reset();
  StoreHarness(options).stop();
  expect_all_once(options, stored, sent.number - stored);
  expect_sound(options);
}

}  // namespace
}  // namespace fastlogd::append
