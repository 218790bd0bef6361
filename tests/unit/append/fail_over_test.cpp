// A sync that fails: its segment is given up, nothing in it is called durable any more, and the log goes on in a new
// one that says so (P7).
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/log_reader.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/segment_file.hpp"
#include "segment/verify.hpp"
#include "support/faulty_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using segment::Access;
using segment::LogItem;
using segment::LogReader;
using segment::ReadStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FaultyFileSystem;
using test::Op;
using test::StoreHarness;
using test::TempDirectory;

constexpr int kPerBlock = 100;

StreamOptions options_in(const TempDirectory& directory,
                         OnSyncFailure on_failure = OnSyncFailure::fail_over) {
  StreamOptions options;
  options.name = "o" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.durability = {.mode = DurabilityMode::none, .on_failure = on_failure};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

bool eventually(const std::function<bool()>& done, int tries = 5000) {
  for (int i = 0; i < tries && !done(); ++i) std::this_thread::sleep_for(milliseconds(1));
  return done();
}

/// A store whose segments are all prepared, so that the next fdatasync is one of its log.
class FailingStore {
 public:
  explicit FailingStore(const StreamOptions& options, std::function<void()> gave_up = {})
      : options_(options),
        harness(StreamStore::open(
                    std::make_shared<const StreamOptions>(options),
                    {.files = files, .runtime_directory = "/dev/shm", .gave_up = std::move(gave_up)})
                    .value()) {
    files.spare_temporaries = true;
    harness.define_source(0, {.identifier = "x"});
    wait_until_prepared();
  }
  void wait_until_prepared() const {
    constexpr std::uint64_t kAtRest = 4;  // one in use, two in the supply, a spare one
    EXPECT_TRUE(
        eventually([&] { return harness.store->counters().segments_prepared.value() == kAtRest; }, 30'000));
  }
  void send(int blocks = 1) {
    for (int i = 0; i < blocks; ++i) harness.send(std::vector<std::string>(kPerBlock, std::string(100, 'r')));
    sent += blocks;
    ASSERT_TRUE(harness.wait_until_stored(static_cast<std::uint64_t>(sent) * kPerBlock));
  }
  [[nodiscard]] Result<> sync() const { return harness.store->sync(seconds(5)); }
  [[nodiscard]] StoreStatus status() const { return harness.store->status(); }
  [[nodiscard]] const AppendCounters& counters() const { return harness.store->counters(); }
  [[nodiscard]] const std::string& directory() const { return options_.directory; }

 private:
  StreamOptions options_;

 public:
  FaultyFileSystem files;
  StoreHarness harness;
  int sent = 0;
};

struct Content {
  std::uint64_t records = 0;
  std::vector<segment::Gap> gaps;
  bool dense = true;
};

Content content(const std::string& directory) {
  Content content;
  auto reader = LogReader::open(directory, Access::pread);
  EXPECT_TRUE(reader.has_value());
  LogItem item;
  while (reader && reader->next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::gap) {
      content.gaps.push_back(item.gap);
    } else {
      ++content.records;
      content.dense = content.dense && item.record.sequence.value == content.records;
    }
  }
  return content;
}

segment::OpenPayload open_of(const std::string& directory, std::uint64_t index) {
  auto cursor = segment::SegmentCursor::open(posix_file_system(), directory, index, Access::pread);
  segment::FrameView frame;
  EXPECT_TRUE(cursor.has_value() && cursor->peek_block(0, limits::kMiB, frame));
  return segment::decode_open(frame.payload).value_or(segment::OpenPayload{});
}

void expect_sound(const std::string& directory) {
  const auto report = segment::verify_directory(directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings) {
    EXPECT_EQ(finding.kind, segment::Finding::Kind::note)
        << finding.file << ":" << finding.offset << " " << finding.text;
  }
}

TEST(FailedSync, GoesOnInASegmentThatSaysWhatNobodyKnows) {
  const TempDirectory directory;
  FailingStore store(options_in(directory));
  store.send();
  ASSERT_TRUE(store.sync());
  const LogPosition durable = store.status().durable;
  store.send(2);
  const LogPosition end = store.status().committed;
  store.files.fail(Op::sync, EIO, 1, 1);  // once: the next fdatasync would report success
  EXPECT_FALSE(store.sync());
  EXPECT_EQ(store.harness.store->progress().state(durable, end), Durable::unknown);
  ASSERT_TRUE(eventually([&] { return store.counters().fail_overs.value() == 1; }));
  EXPECT_FALSE(store.counters().store_failed.load());
  EXPECT_EQ(store.counters().sync_errors.value(), 1U);
  EXPECT_EQ(store.counters().unknown_durability.value(), 2U * kPerBlock);
  const LogPosition after = store.status().durable;
  EXPECT_GT(after.segment(), durable.segment());
  store.send();
  EXPECT_TRUE(store.sync()) << "the log is durable again";
  EXPECT_EQ(store.harness.store->progress().state(after, store.status().committed), Durable::yes);
  EXPECT_EQ(store.harness.store->progress().state(durable, end), Durable::unknown)
      << "and that stays unknown";

  const segment::OpenPayload open = open_of(store.directory(), after.segment());
  EXPECT_EQ(open.reason, segment::OpenReason::failed);
  EXPECT_EQ(LogPosition{open.durable_position}, durable);
  store.harness.stop();
  const Content found = content(store.directory());
  EXPECT_EQ(found.records, 4U * kPerBlock) << "all of them can still be read";
  EXPECT_TRUE(found.dense);
  ASSERT_EQ(found.gaps.size(), 1U);
  EXPECT_EQ(found.gaps[0].reason, ingress::LossReason::durability_unknown);
  EXPECT_EQ(found.gaps[0].first.value, kPerBlock + 1U);
  EXPECT_EQ(found.gaps[0].last.value, 3U * kPerBlock);
  EXPECT_EQ(found.gaps[0].count, 0U) << "nothing is known to be lost";
  const auto failed = segment::open_segment(posix_file_system(), store.directory(), durable.segment());
  ASSERT_TRUE(failed.has_value());
  EXPECT_FALSE(failed->trailer.has_value()) << "no trailer vouches for what the disk may not hold";
  expect_sound(store.directory());
}

TEST(FailedSync, OfASealIsAFailedSyncToo) {
  const TempDirectory directory;
  FailingStore store(options_in(directory));
  store.send();
  store.files.fail(Op::sync, EIO, 1, 1);
  store.harness.store->rotate();
  ASSERT_TRUE(eventually([&] { return store.counters().fail_overs.value() == 1; }));
  store.send();
  EXPECT_FALSE(store.sync()) << "nobody has been told yet";
  EXPECT_TRUE(store.sync()) << "told once";
  store.harness.stop();
  const Content found = content(store.directory());
  EXPECT_EQ(found.records, 2U * kPerBlock);
  ASSERT_EQ(found.gaps.size(), 1U);
  EXPECT_EQ(found.gaps[0].first.value, 1U);
  EXPECT_EQ(found.gaps[0].last.value, 1U * kPerBlock);
  expect_sound(store.directory());
}

TEST(FailedSync, OfTheSegmentThatWasFailedOverToIsStatedAnew) {
  const TempDirectory directory;
  FailingStore store(options_in(directory));
  store.send();
  store.files.fail(Op::sync, EIO, 1, 2);  // the segment, and the next one's first sync
  EXPECT_FALSE(store.sync());
  ASSERT_TRUE(eventually([&] { return store.counters().fail_overs.value() == 1; }));
  store.send();
  (void)store.sync();  // the second failure, if the first call came before it
  EXPECT_TRUE(store.sync());
  const std::uint64_t active = store.status().durable.segment();
  const segment::OpenPayload open = open_of(store.directory(), active);
  EXPECT_EQ(open.reason, segment::OpenReason::failed);
  EXPECT_EQ(open.durable_position, open_of(store.directory(), active - 1).durable_position);
  EXPECT_EQ(store.counters().unknown_durability.value(), 1U * kPerBlock) << "counted once";
  store.harness.stop();
  EXPECT_EQ(content(store.directory()).gaps.size(), 2U);
  expect_sound(store.directory());
}

TEST(FailedSync, GoesOnStoringInTheOldSegmentWhileThereIsNoNewOne) {
  const TempDirectory directory;
  FailingStore store(options_in(directory));
  store.files.fail(Op::allocate, EIO);
  // Everything that is prepared is used up.
  const std::uint64_t rolls = store.counters().segments_prepared.value() - 1;
  for (std::uint64_t i = 1; i <= rolls; ++i) {
    store.harness.store->rotate();
    ASSERT_TRUE(eventually([&] { return store.counters().rolls.value() == i; }));
  }
  ASSERT_TRUE(eventually([&] { return store.counters().segments_sealed.value() == rolls; }));
  const LogPosition before = store.status().committed;
  store.files.fail(Op::sync, EIO, 1, 1);
  store.send();
  EXPECT_FALSE(store.sync());
  store.send();
  EXPECT_FALSE(store.sync()) << "refused at once, not after a time";
  EXPECT_TRUE(store.counters().store_failed.load());
  EXPECT_EQ(store.status().committed.segment(), before.segment());
  store.files.heal();
  ASSERT_TRUE(eventually([&] { return store.counters().fail_overs.value() == 1; }));
  EXPECT_FALSE(store.counters().store_failed.load());
  store.send();
  EXPECT_TRUE(store.sync());
  EXPECT_GE(store.counters().unknown_durability.value(), 2U * kPerBlock);
  store.harness.stop();
  EXPECT_EQ(content(store.directory()).records, 3U * kPerBlock);
  expect_sound(store.directory());
}

TEST(FailedSync, StopsTheDaemonWhereThatIsWanted) {
  const TempDirectory directory;
  std::atomic<int> gave_up{0};
  FailingStore store(options_in(directory, OnSyncFailure::stop), [&] { gave_up.fetch_add(1); });
  store.send();
  ASSERT_TRUE(store.sync());
  const LogPosition durable = store.status().durable;
  store.send();
  store.files.fail(Op::sync, EIO, 1, 1);
  EXPECT_FALSE(store.sync());
  EXPECT_EQ(gave_up.load(), 1);
  store.send();
  EXPECT_FALSE(store.sync()) << "though this fdatasync would succeed";
  EXPECT_TRUE(store.counters().store_failed.load());
  EXPECT_EQ(store.harness.store->progress().state(durable, store.status().committed), Durable::unknown);
  store.harness.stop();
  EXPECT_EQ(store.status().durable, durable);
  EXPECT_EQ(gave_up.load(), 1);
  EXPECT_EQ(content(store.directory()).records, 3U * kPerBlock);
}

TEST(FailedSync, IsFollowedByAStartThatRecoversTheFailedSegment) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  {
    FailingStore store(options);
    store.send();
    store.files.fail(Op::sync, EIO, 1, 1);
    EXPECT_FALSE(store.sync());
    ASSERT_TRUE(eventually([&] { return store.counters().fail_overs.value() == 1; }));
    store.send();
    store.harness.stop();
  }
  StoreHarness again(options);
  EXPECT_TRUE(again.store->recovery().gaps.empty());
  EXPECT_EQ(again.store->recovery().next_sequence, 2U * kPerBlock + 1);
  again.stop();
  EXPECT_EQ(content(options.directory).records, 2U * kPerBlock);
  expect_sound(options.directory);
}

}  // namespace
}  // namespace fastlogd::append
