// What is lost on a full disk whose last segments fail as well, and who is told of it.
#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/log_reader.hpp"
#include "support/sick_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::RingProducer;
using test::SickFileSystem;
using test::StoreHarness;
using test::TempDirectory;

constexpr std::uint64_t kPerBlock = 20;

/// Refuses frames, and further segments.
class FullAndSick : public SickFileSystem {
 public:
  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    if (segments_left.fetch_sub(1) > 0) return SickFileSystem::allocate(fd, offset, bytes);
    segments_left = 0;
    return Error{std::error_code(ENOSPC, std::system_category()), "fallocate"};
  }
  std::atomic<int> segments_left{1000};
};

bool eventually(const std::function<bool()>& done, int tries = 10000) {
  for (int i = 0; i < tries && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

class Losses : public ::testing::Test {
 protected:
  Losses() {
    options_.name = "lo" + std::to_string(::getpid());
    options_.directory = folder_.path() + "/log";
    options_.segment_bytes = SickFileSystem::kSegmentBytes;
    options_.write = WriteBy::pwrite;
    options_.durability = {.mode = DurabilityMode::none};
    options_.retention = {.bytes_max = 0, .keep_free = 0};
    options_.when_full = WhenFull::drop_newest;
  }
  std::unique_ptr<StreamStore> open(bool own_thread = true) {
    return StreamStore::open(std::make_shared<const StreamOptions>(options_),
                             {.files = files_, .runtime_directory = "/dev/shm", .own_thread = own_thread})
        .value();
  }
  void send_block(RingProducer& producer) {
    std::vector<std::string> messages;
    for (std::uint64_t n = 0; n < kPerBlock; ++n)
      messages.push_back(std::to_string(++sent_) + std::string(2000, '.'));
    producer.send(messages);
  }
  static std::uint64_t dropped(const StoreHarness& harness, DropReason reason) {
    return harness.store->counters().dropped_records[static_cast<std::size_t>(reason)].value();
  }
  struct Content {
    std::uint64_t records = 0;
    std::uint64_t gaps = 0;
    std::uint64_t lost = 0;
  };
  [[nodiscard]] Content content(ingress::LossReason reason) const {
    Content found;
    auto reader = segment::LogReader::open(options_.directory, segment::Access::pread);
    segment::LogItem item;
    while (reader && reader->next(item) == segment::ReadStatus::item) {
      const bool is_gap = item.kind == segment::LogItem::Kind::gap;
      if (!is_gap) ++found.records;
      if (!is_gap || item.gap.reason != reason) continue;
      ++found.gaps;
      found.lost += item.gap.count;
    }
    return found;
  }

  TempDirectory folder_;
  StreamOptions options_;
  FullAndSick files_;
  std::uint64_t sent_ = 0;
};

// The disk is full, but two segments had been prepared before: whose store fails waits for the next one.
TEST_F(Losses, NothingIsDroppedBehindAFailedStoreWhileASegmentIsAtHand) {
  StoreHarness harness(open());
  harness.define_source(0, {.identifier = "x"});
  send_block(harness);
  ASSERT_TRUE(harness.wait_until_stored(sent_));
  ASSERT_TRUE(eventually([&] { return harness.store->counters().segments_prepared.value() >= 4; }));
  files_.segments_left = 0;
  harness.store->rotate();
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  files_.failures = 1;
  for (int block = 0; block < 10; ++block) send_block(harness);
  ASSERT_TRUE(harness.wait_until_stored(sent_));
  EXPECT_TRUE(eventually([&] { return harness.store->counters().fail_overs.value() == 1; }));
  EXPECT_EQ(dropped(harness, DropReason::segment_full), 0U);
  harness.stop();
  EXPECT_EQ(content(ingress::LossReason::none).records, sent_);
}

// A block goes over a roll, its second half is refused, and there is no other segment: the first half is stored, but not
// where the log has been synced to.
TEST_F(Losses, TheHalfThatWasStoredInFrontOfARollIsNotOnDiskBeforeItsSync) {
  options_.durability = {.mode = DurabilityMode::group};
  files_.segments_left = 2;
  StoreHarness harness(open(false));
  harness.define_source(0, {.identifier = "x"});
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  harness.send({std::string(10'000, '.')});  // so that no whole number of blocks fits
  (void)harness.store->do_work();
  LogPosition before;
  while (dropped(harness, DropReason::segment_full) == 0) {
    ASSERT_LT(sent_, 2 * SickFileSystem::kSegmentBytes / 2000);
    before = harness.store->committed();
    files_.spared = 1;  // the first segment's part with its SEAL
    files_.failures = 1;
    send_block(harness);
    (void)harness.store->do_work();
  }
  const DroppedRange* range = harness.progress.dropped();
  ASSERT_NE(range, nullptr);
  ASSERT_GT(range->kept, 0U) << "some of it was stored";
  ASSERT_EQ(harness.store->committed(), before);
  const RingPoint point = harness.progress.point();
  ASSERT_EQ(point.ring_position, range->last_end);
  EXPECT_GT(point.log_position, before);
  files_.failures = 0;
  harness.stop();
}

// Each of them has lost less than was told of before, all of them more.
TEST_F(Losses, InFrontOfSeveralRingsAreToldByTheirSum) {
  options_.when_full = WhenFull::block;
  files_.segments_left = 1;
  std::vector<std::unique_ptr<RingProducer>> others;
  StoreHarness harness([&] {
    auto store = open(false);
    for (int ring = 0; ring < 3; ++ring)
      others.emplace_back(std::make_unique<RingProducer>())->attach_to(*store);
    return store;
  }());
  harness.define_source(0, {.identifier = "x"});
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  while (harness.store->counters().waits_for_segment.value() == 0) {
    send_block(harness);
    (void)harness.store->do_work();
  }
  const auto lose = [](RingProducer& producer, std::uint64_t count) {
    producer.loss.by_reason[static_cast<std::size_t>(ingress::LossReason::client)].add(count);
  };
  const auto told = [&] {
    (void)harness.store->do_work();
    return content(ingress::LossReason::client).lost;
  };
  // One by one: first where records no longer fit, then in the room that is kept for GAPs, until one is held back.
  std::uint64_t all = 0;
  do {
    ASSERT_LT(all, 30U);
    lose(harness, 1);
    ++all;
  } while (eventually([&] { return told() == all; }, 300));
  for (auto& other : others) lose(*other, 1);
  EXPECT_TRUE(eventually([&] { return told() > all - 1; }, 1000));
  harness.stop();
}

// What was held back is told by the stop, whose store fails: then there is no GAP, and none is counted.
TEST_F(Losses, ALastGapThatCouldNotBeStoredIsNotCounted) {
  files_.segments_left = 1;
  StoreHarness harness(open(false));
  harness.define_source(0, {.identifier = "x"});
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  const auto told = [&] {
    (void)harness.store->do_work();
    return content(ingress::LossReason::segment_full).lost;
  };
  while (told() == 0) send_block(harness);
  harness.send({std::string(2000, '.')});
  ASSERT_FALSE(eventually([&] { return told() == dropped(harness, DropReason::segment_full); }, 100));
  files_.failures = 1;
  harness.stop();
  EXPECT_EQ(files_.failures, 0) << "the GAP's";
  EXPECT_EQ(content(ingress::LossReason::segment_full).gaps, harness.store->counters().gap_frames.value());
}

// They are in their client's memory, where the next daemon takes them from.
TEST_F(Losses, WhatIsLentIsNotDroppedByAStop) {
  files_.segments_left = 1;
  StoreHarness harness(open(false));
  harness.define_source(0, {.identifier = "x"});
  ASSERT_TRUE(eventually([&] { return harness.store->counters().disk_full.load(); }));
  while (dropped(harness, DropReason::segment_full) == 0) {
    send_block(harness);
    (void)harness.store->do_work();
  }
  const std::uint64_t before = dropped(harness, DropReason::segment_full);
  harness.numbering = {.client = {.id = {1}}, .first = 1};
  harness.lent = true;
  send_block(harness);
  harness.stop();
  EXPECT_EQ(dropped(harness, DropReason::segment_full), before) << "what was not lent";
  EXPECT_EQ(dropped(harness, DropReason::shutdown), 0U);
}

}  // namespace
}  // namespace fastlogd::append
