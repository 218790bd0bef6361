// What a ring's io thread is told of entries that were stored and of those that were given up.
#include "append/progress_report.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using ingress::LossReason;

class ProgressReportTest : public testing::Test {
 protected:
  void store(std::uint64_t end) { report_.released(end); }
  void drop(std::uint64_t end, std::uint32_t kept = 0, LossReason reason = LossReason::segment_full) {
    report_.dropped(kept, reason);
    report_.released(end);
  }
  void publish(std::uint64_t ring_position) { report_.publish({.ring_position = ring_position}); }
  [[nodiscard]] std::uint64_t told() const { return progress_.point().ring_position; }

  RingProgress progress_;
  std::unique_ptr<ring::WakeSignal> acks_ = ring::WakeSignal::create().value();
  ProgressReport report_{&progress_, acks_.get()};
};

TEST_F(ProgressReportTest, NamesAdjoiningDroppedEntriesAsOneRange) {
  store(8);
  drop(16, 3);
  drop(24);
  drop(32);
  publish(32);
  ASSERT_NE(progress_.dropped(), nullptr);
  EXPECT_EQ(progress_.dropped()->first_end, 16U);
  EXPECT_EQ(progress_.dropped()->last_end, 32U);
  EXPECT_EQ(progress_.dropped()->kept, 3U);
  EXPECT_EQ(progress_.dropped()->reason, LossReason::segment_full);
  EXPECT_EQ(progress_.dropped(1), nullptr);
  EXPECT_EQ(told(), 32U);
}

TEST_F(ProgressReportTest, KeepsRangesApartThatStoredEntriesOrOtherReasonsSeparate) {
  drop(8);
  store(16);
  drop(24);
  drop(32, 0, LossReason::shutdown);
  drop(40, 1, LossReason::shutdown);
  publish(40);
  for (const std::uint64_t end : {8U, 24U, 32U, 40U}) {
    ASSERT_NE(progress_.dropped(), nullptr) << end;
    EXPECT_EQ(progress_.dropped()->first_end, end);
    EXPECT_EQ(progress_.dropped()->last_end, end);
    progress_.pop_dropped();
  }
  EXPECT_EQ(progress_.dropped(), nullptr);
}

TEST_F(ProgressReportTest, TellsNothingWhileTheQueueIsFullAndThenEverything) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < limits::kDroppedRangesMax; ++i) {
    drop(end += 8);
    store(end += 8);
  }
  publish(end);
  const std::uint64_t before = told();
  EXPECT_EQ(before, end);
  drop(end += 8);
  publish(end);
  EXPECT_TRUE(report_.behind());
  EXPECT_EQ(told(), before) << "the dropped entry would be acknowledged";
  const std::uint64_t first_of_last = end;
  store(end += 8);
  drop(end += 8);
  publish(end);
  EXPECT_EQ(told(), before);

  progress_.pop_dropped();
  publish(end);
  EXPECT_FALSE(report_.behind());
  EXPECT_EQ(told(), end);
  const DroppedRange* last = progress_.dropped(limits::kDroppedRangesMax - 1);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->first_end, first_of_last);
  EXPECT_EQ(last->last_end, end) << "joined over what was stored between: refused twice is no loss";
}

TEST_F(ProgressReportTest, PublishesABatchWithMoreDroppedRangesThanTheQueueHolds) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < 3 * limits::kDroppedRangesMax; ++i) {
    drop(end += 8);
    store(end += 8);
  }
  publish(end);
  EXPECT_FALSE(report_.behind()) << "what is not published is popped by nobody, and would never be";
  EXPECT_EQ(told(), end);
  std::uint64_t last_end = 0;
  while (progress_.dropped() != nullptr) {
    last_end = progress_.dropped()->last_end;
    progress_.pop_dropped();
  }
  EXPECT_EQ(last_end, end - 8);
}

TEST_F(ProgressReportTest, WakesAThreadThatWaitsForAcknowledgements) {
  publish(8);
  EXPECT_FALSE(acks_->wait(std::chrono::nanoseconds(0))) << "nobody had armed: no system call";
  acks_->arm();
  publish(16);
  EXPECT_TRUE(acks_->wait(std::chrono::seconds(5)));
}

TEST(AppenderProgress, IsToldOnceTheRecordsArePublished) {
  const test::TempDirectory directory;
  StreamOptions options;
  options.name = "p" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.durability = {.mode = DurabilityMode::none};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  test::StoreHarness harness(options);
  harness.define_source(0, SourceView{.transport = Transport::unix_stream});
  for (int i = 0; i < 20; ++i) {
    harness.send(std::vector<std::string>(10, "a record"));
    harness.request_sync();
    const std::uint64_t end = harness.ring->written();
    RingPoint point;
    for (int tries = 0; tries < 10000 && point.ring_position < end; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      point = harness.progress.point();
    }
    ASSERT_EQ(point.ring_position, end);
    EXPECT_EQ(point.last_sequence, static_cast<std::uint64_t>(10 * (i + 1)));
    EXPECT_LE(point.log_position, harness.store->status().committed);
    EXPECT_EQ(harness.store->counters().stored_records.value(), point.last_sequence);
  }
  harness.stop();
}

}  // namespace
}  // namespace fastlogd::append
