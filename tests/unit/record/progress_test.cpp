#include "record/progress.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

using ingress::LossReason;

constexpr LogPosition at(std::uint64_t value) {
  return LogPosition{value};
}

TEST(RingProgress, TellsTheNewestPoint) {
  RingProgress progress;
  EXPECT_EQ(progress.point().ring_position, 0U);
  progress.publish({.ring_position = 64, .log_position = at(7), .last_sequence = 3});
  EXPECT_EQ(progress.point().ring_position, 64U);
  EXPECT_EQ(progress.point().log_position, at(7));
  EXPECT_EQ(progress.point().last_sequence, 3U);
  EXPECT_TRUE(progress.ring_position_moved(0));
  EXPECT_FALSE(progress.ring_position_moved(64));
}

TEST(RingProgress, KeepsDroppedRangesInOrderUntilTheyArePopped) {
  RingProgress progress;
  EXPECT_EQ(progress.dropped(), nullptr);
  ASSERT_TRUE(progress.push_dropped({.first_end = 8, .last_end = 16, .reason = LossReason::segment_full}));
  ASSERT_TRUE(progress.push_dropped({.first_end = 32, .last_end = 32, .kept = 2}));
  ASSERT_NE(progress.dropped(), nullptr);
  EXPECT_EQ(progress.dropped()->last_end, 16U);
  EXPECT_EQ(progress.dropped(1)->kept, 2U);
  EXPECT_EQ(progress.dropped(2), nullptr);
  progress.pop_dropped();
  EXPECT_EQ(progress.dropped()->first_end, 32U);
  progress.pop_dropped();
  EXPECT_EQ(progress.dropped(), nullptr);
}

TEST(RingProgress, RefusesARangeWhenItsQueueIsFull) {
  RingProgress progress;
  for (std::size_t i = 0; i < limits::kDroppedRangesMax; ++i) {
    ASSERT_TRUE(progress.push_dropped({.first_end = i + 1, .last_end = i + 1}));
  }
  EXPECT_FALSE(progress.push_dropped({.first_end = 1000, .last_end = 1000}));
  progress.pop_dropped();
  EXPECT_TRUE(progress.push_dropped({.first_end = 1000, .last_end = 1000}));
  EXPECT_EQ(progress.dropped(limits::kDroppedRangesMax - 1)->last_end, 1000U);
}

/// The promise of the header: a ring position never shows itself before its log position and its dropped ranges.
/// Every third entry is dropped; entry i ends at ring position i and the log position behind it is i * 10.
TEST(RingProgress, NeverShowsARingPositionBeforeWhatBelongsToIt) {
  constexpr std::uint64_t kEntries = 200'000;
  RingProgress progress;
  const std::jthread appender([&](const std::stop_token& stop) {
    for (std::uint64_t i = 1; i <= kEntries && !stop.stop_requested(); ++i) {
      while (i % 3 == 0 && !progress.push_dropped({.first_end = i, .last_end = i})) {
        if (stop.stop_requested()) return;
        std::this_thread::yield();
      }
      progress.publish({.ring_position = i, .log_position = at(i * 10), .last_sequence = i});
    }
  });
  std::uint64_t seen = 0;
  std::uint64_t refused = 0;
  while (seen < kEntries) {
    const RingPoint point = progress.point();
    ASSERT_GE(point.ring_position, seen);
    ASSERT_GE(point.log_position.value, point.ring_position * 10);
    ASSERT_LE(point.settled.value, point.ring_position * 10);
    ASSERT_GE(point.last_sequence, point.ring_position);
    for (const DroppedRange* range = progress.dropped();
         range != nullptr && range->last_end <= point.ring_position; range = progress.dropped()) {
      ASSERT_EQ(range->first_end, ++refused * 3);
      progress.pop_dropped();
    }
    ASSERT_EQ(refused, point.ring_position / 3) << "a dropped entry would have been acknowledged";
    seen = point.ring_position;
  }
}

TEST(StreamProgress, CallsDurableWhatLiesBelowTheWatermark) {
  StreamProgress progress;
  EXPECT_EQ(progress.state(at(0), at(10)), Durable::pending);
  progress.set_durable(at(10));
  EXPECT_EQ(progress.state(at(0), at(10)), Durable::yes);
  EXPECT_EQ(progress.state(at(10), at(11)), Durable::pending);
  EXPECT_EQ(progress.durable(), at(10));
}

TEST(StreamProgress, NeverCallsDurableWhatAFailedSyncLeftUnknown) {
  StreamProgress progress;
  progress.set_durable(at(100));
  progress.add_unknown(at(100), at(200));
  EXPECT_EQ(progress.failures(), 1U);
  EXPECT_EQ(progress.state(at(50), at(100)), Durable::yes);
  EXPECT_EQ(progress.state(at(150), at(160)), Durable::unknown) << "before durable has passed it";
  progress.set_durable(at(300));
  EXPECT_EQ(progress.state(at(150), at(160)), Durable::unknown);
  EXPECT_EQ(progress.state(at(199), at(250)), Durable::unknown) << "partly unknown";
  EXPECT_EQ(progress.state(at(200), at(250)), Durable::yes);
  EXPECT_EQ(progress.state(at(90), at(101)), Durable::unknown);
}

TEST(StreamProgress, StaysConservativeWhenItsListIsFull) {
  StreamProgress progress;
  for (std::uint64_t i = 0; i < limits::kUnknownRangesMax; ++i) {
    progress.add_unknown(at(i * 100 + 10), at(i * 100 + 20));
  }
  const std::uint64_t full = progress.failures();
  const std::uint64_t last = limits::kUnknownRangesMax * 100;
  progress.add_unknown(at(last + 10), at(last + 20));
  EXPECT_NE(progress.failures(), full) << "who sleeps must notice";
  progress.set_durable(at(last + 100));
  EXPECT_EQ(progress.state(at(last + 15), at(last + 16)), Durable::unknown);
  EXPECT_EQ(progress.state(at(last + 20), at(last + 30)), Durable::yes);
  EXPECT_EQ(progress.state(at(30), at(40)), Durable::yes);
}

/// Sync `i` covers [i * 10, i * 10 + 10); every fifth fails. Whatever a reader sees as durable was.
TEST(StreamProgress, ShowsAFailureBeforeTheWatermarkPassesIt) {
  constexpr std::uint64_t kSyncs = limits::kUnknownRangesMax * 5;
  for (int round = 0; round < 50; ++round) {
    StreamProgress progress;
    const std::jthread sync([&] {
      for (std::uint64_t i = 0; i < kSyncs; ++i) {
        if (i % 5 == 4) progress.add_unknown(at(i * 10), at(i * 10 + 10));
        progress.set_durable(at(i * 10 + 10));
      }
    });
    for (std::uint64_t seen = 0; seen < kSyncs * 10;) {
      seen = progress.durable().value;
      if (seen == 0) continue;
      const std::uint64_t last = seen / 10 - 1;
      const Durable state = progress.state(at(last * 10), at(last * 10 + 10));
      ASSERT_EQ(state, last % 5 == 4 ? Durable::unknown : Durable::yes) << "sync " << last;
    }
  }
}

}  // namespace
}  // namespace fastlogd
