#include "ingest/ack_ledger.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

using ingress::LossReason;

constexpr LogPosition at(std::uint64_t value) {
  return LogPosition{value};
}

class AckLedgerTest : public testing::Test {
 protected:
  AckLedgerTest() { ledger_.start(1); }

  /// One block with these many messages, which ends at `ring_end`.
  void block(std::uint64_t count, std::uint64_t ring_end) {
    for (std::uint64_t i = 0; i < count; ++i) ASSERT_TRUE(ledger_.add(next_++, i));
    ledger_.committed(ring_end);
  }
  void refuse() { ledger_.skip(next_++); }
  void settle(std::uint64_t ring_end, std::uint64_t log, std::uint64_t settled) {
    ledger_.settle({.ring_position = ring_end, .log_position = at(log), .settled = at(settled)}, ring_,
                   note());
  }
  void sync() { ledger_.sync(stream_, note()); }
  std::function<void(const RefusedNumbers&)> note() {
    return [this](const RefusedNumbers& numbers) { refused_.push_back(numbers); };
  }
  void expect_refused(std::uint64_t first, std::uint64_t last, LossReason reason) {
    ASSERT_FALSE(refused_.empty());
    EXPECT_EQ(refused_.front().first, first);
    EXPECT_EQ(refused_.front().last, last);
    EXPECT_EQ(refused_.front().reason, reason);
    refused_.erase(refused_.begin());
  }

  AckLedger ledger_;
  RingProgress ring_;
  StreamProgress stream_;
  std::vector<RefusedNumbers> refused_;
  std::uint64_t next_ = 1;
};

TEST_F(AckLedgerTest, FollowsRecordsFromTheRingIntoTheLogAndOntoTheDisk) {
  EXPECT_EQ(ledger_.stored(), 0U);
  block(10, 100);
  block(5, 200);
  EXPECT_EQ(ledger_.stored(), 0U);
  settle(150, 1000, 900);
  EXPECT_EQ(ledger_.stored(), 10U);
  EXPECT_EQ(ledger_.synced(), 0U);
  settle(200, 2000, 2000);
  EXPECT_EQ(ledger_.stored(), 15U);
  stream_.set_durable(at(1999));
  sync();
  EXPECT_EQ(ledger_.synced(), 10U);
  stream_.set_durable(at(2000));
  sync();
  EXPECT_EQ(ledger_.synced(), 15U);
  EXPECT_TRUE(refused_.empty());
}

TEST_F(AckLedgerTest, PassesOverRefusedNumbersOnlyWhenAllBeforeAreDealtWith) {
  block(2, 100);
  refuse();
  EXPECT_EQ(ledger_.stored(), 0U);
  block(1, 200);
  settle(100, 10, 10);
  EXPECT_EQ(ledger_.stored(), 3U);
  settle(200, 20, 20);
  refuse();
  EXPECT_EQ(ledger_.stored(), 5U);
  EXPECT_EQ(ledger_.synced(), 0U);
  stream_.set_durable(at(20));
  sync();
  EXPECT_EQ(ledger_.synced(), 5U);
}

TEST_F(AckLedgerTest, NamesWhatWasDroppedBehindTheRing) {
  block(10, 100);
  block(10, 200);
  block(10, 300);
  ASSERT_TRUE(
      ring_.push_dropped({.first_end = 100, .last_end = 200, .kept = 4, .reason = LossReason::segment_full}));
  settle(300, 10, 10);
  expect_refused(5, 10, LossReason::segment_full);
  expect_refused(11, 20, LossReason::segment_full);
  EXPECT_TRUE(refused_.empty());
  EXPECT_EQ(ledger_.stored(), 30U);
}

TEST_F(AckLedgerTest, KnowsWhichOfABlockWithRefusedNumbersWereDropped) {
  ASSERT_TRUE(ledger_.add(1, 0));
  ASSERT_TRUE(ledger_.add(2, 1));
  ledger_.skip(3);
  ASSERT_TRUE(ledger_.add(4, 2));
  ASSERT_TRUE(ledger_.add(5, 3));
  ledger_.committed(100);
  ASSERT_TRUE(
      ring_.push_dropped({.first_end = 100, .last_end = 100, .kept = 3, .reason = LossReason::shutdown}));
  settle(100, 10, 10);
  expect_refused(5, 5, LossReason::shutdown);
  EXPECT_TRUE(refused_.empty());
}

TEST_F(AckLedgerTest, RefusesWhatAFailedSyncLeftUnknown) {
  ledger_.nothing_before(at(100));
  block(3, 10);
  settle(10, 200, 200);
  block(3, 20);
  settle(20, 300, 300);
  stream_.add_unknown(at(150), at(200));
  stream_.set_durable(at(400));
  sync();
  expect_refused(1, 3, LossReason::none);
  EXPECT_TRUE(refused_.empty());
  EXPECT_EQ(ledger_.synced(), 6U);
}

TEST_F(AckLedgerTest, IsNotConcernedByAFailureBeforeItsRecords) {
  stream_.add_unknown(at(0), at(100));
  ledger_.nothing_before(at(100));
  block(3, 10);
  settle(10, 200, 200);
  stream_.set_durable(at(200));
  sync();
  EXPECT_TRUE(refused_.empty());
  EXPECT_EQ(ledger_.synced(), 3U);
}

TEST_F(AckLedgerTest, SaysWhenItHasNoRoom) {
  for (std::size_t i = 0; i < AckLedger::kRunsMax; ++i) {
    EXPECT_TRUE(ledger_.has_room());
    block(1, (i + 1) * 10);
  }
  EXPECT_FALSE(ledger_.has_room());
  EXPECT_FALSE(ledger_.add(next_, 0));
  settle(10, 1, 1);
  EXPECT_TRUE(ledger_.has_room());
  EXPECT_EQ(ledger_.stored(), 1U);
}

/// One record a settle and far more of them than the backlog has places: joined, it may say less, never too much.
TEST_F(AckLedgerTest, StaysOnTheSafeSideWhenItsBacklogIsFull) {
  constexpr std::uint64_t kRecords = 1000;
  for (std::uint64_t n = 1; n <= kRecords; ++n) {
    block(1, n * 8);
    settle(n * 8, n * 10, n * 10);
  }
  std::uint64_t worst = 0;
  for (std::uint64_t n = 1; n <= kRecords; ++n) {
    stream_.set_durable(at(n * 10));
    sync();
    ASSERT_LE(ledger_.synced(), n) << "called synced before it was";
    worst = std::max(worst, n - ledger_.synced());
  }
  EXPECT_EQ(ledger_.synced(), kRecords);
  EXPECT_LT(worst, kRecords / 16);
}

/// The disk is always 5000 settles behind: the watermark must go on, not wait for a quiet moment.
TEST_F(AckLedgerTest, GoesOnWhileASlowDiskStaysBehind) {
  constexpr std::uint64_t kBehind = 5000;
  for (std::uint64_t n = 1; n <= 4 * kBehind; ++n) {
    block(1, n * 8);
    settle(n * 8, n * 10, n * 10);
    if (n <= kBehind || n % 100 != 0) continue;
    stream_.set_durable(at((n - kBehind) * 10));
    sync();
    ASSERT_LE(ledger_.synced(), n - kBehind);
    ASSERT_GT(ledger_.synced() + kBehind / 8, n - kBehind);
  }
}

std::uint64_t seed() {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  const std::uint64_t value = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed %llu (set FASTLOGD_TEST_SEED to repeat)\n", static_cast<unsigned long long>(value));
  return value;
}

/// Every record has a known place; random appender, sync thread and session. What is called stored was dealt with and
/// what is called synced lies below the watermark, or was named.
TEST(AckLedgerModel, NeverSaysTooMuchAndInTheEndSaysAll) {
  std::mt19937_64 random(seed());
  AckLedger ledger;
  RingProgress ring;
  StreamProgress stream;
  struct Entry {
    std::uint64_t first, last, end, log_end = 0;
    bool dropped = false;
  };
  std::vector<Entry> entries;
  std::map<std::uint64_t, bool> named;
  const auto note = [&](const RefusedNumbers& numbers) {
    for (std::uint64_t n = numbers.first; n <= numbers.last; ++n) named[n] = true;
  };
  std::uint64_t next = 1, ring_end = 0, log = 1000, durable = 1000, dealt = 0;
  ledger.start(1);
  ledger.nothing_before(at(log));
  const auto check = [&] {
    for (const Entry& entry : entries) {
      if (entry.last <= ledger.stored()) {
        ASSERT_NE(entry.log_end, 0U) << "stored before it was";
        ASSERT_EQ(named.count(entry.last) != 0, entry.dropped) << entry.last;
      }
      if (entry.last <= ledger.synced() && !entry.dropped) {
        ASSERT_LE(entry.log_end, durable);
      }
    }
  };
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 4) {
      case 0: {
        if (!ledger.has_room()) break;
        Entry entry{.first = next, .last = next + random() % 5, .end = ring_end += 8 + random() % 50};
        for (std::size_t i = 0; next <= entry.last; ++i) ASSERT_TRUE(ledger.add(next++, i));
        ledger.committed(entry.end);
        entries.push_back(entry);
        break;
      }
      case 1:
        while (dealt < entries.size() && random() % 3 != 0) {
          Entry& entry = entries[dealt];
          const bool drop = random() % 8 == 0;
          if (drop && !ring.push_dropped({.first_end = entry.end, .last_end = entry.end})) break;
          entry.dropped = drop;
          if (!drop) log += 1 + random() % 20;
          entry.log_end = log;
          ++dealt;
          ring.publish({.ring_position = entry.end, .log_position = at(log), .last_sequence = 0});
        }
        break;
      case 2:
        durable = durable + random() % (log - durable + 1);
        stream.set_durable(at(durable));
        ledger.sync(stream, note);
        break;
      default: {
        const RingPoint point = ring.point();
        ledger.settle(point, ring, note);
        while (ring.dropped() != nullptr && ring.dropped()->last_end <= point.ring_position)
          ring.pop_dropped();
      }
    }
    if (step % 50 == 0) check();
    if (HasFatalFailure()) return;
    if (entries.size() > 400 && dealt > 200)
      entries.erase(entries.begin(), entries.begin() + 100), dealt -= 100;
  }
  while (dealt < entries.size()) entries[dealt++].log_end = ++log;
  ring.publish({.ring_position = ring_end, .log_position = at(log), .last_sequence = 0});
  ledger.settle(ring.point(), ring, note);
  stream.set_durable(at(durable = log));
  ledger.sync(stream, note);
  EXPECT_EQ(ledger.stored(), next - 1);
  EXPECT_EQ(ledger.synced(), next - 1);
}

}  // namespace
}  // namespace fastlogd::ingest
