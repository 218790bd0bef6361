#include "ingest/ack_board.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

/// Waits for nothing of its own: only a failed sync concerns it.
class Bystander : public AckListener {
 public:
  void progressed(const RingPoint& /*point*/, const RingProgress& /*ring*/,
                  const StreamProgress* synced) override {
    told = synced->failures();
  }
  [[nodiscard]] bool waits_for_progress() const override { return false; }
  std::uint64_t told = 0;
};

TEST(AckBoard, TellsEverybodyOfAFailedSyncAndOnlyWhoWaitsOfProgress) {
  const auto ring = std::make_unique<RingProgress>();
  StreamProgress stream;
  AckBoard board(*ring);
  board.set_stream_progress(stream);
  Bystander bystander;
  board.join(bystander);
  EXPECT_FALSE(board.deliver()) << "nothing new";
  stream.set_durable(LogPosition{100});
  EXPECT_TRUE(board.deliver());
  EXPECT_EQ(bystander.told, 0U);
  stream.add_unknown(LogPosition{100}, LogPosition{200});
  EXPECT_TRUE(board.deliver());
  EXPECT_EQ(bystander.told, 1U);
  EXPECT_FALSE(board.moved());
}

// The durable position moves all the time, so the board is always in the middle of a delivery when a sync fails.
TEST(AckBoard, MissesNoFailureThatComesWhileItDelivers) {
  constexpr int kFailures = 3000;
  const auto ring = std::make_unique<RingProgress>();
  StreamProgress stream;
  AckBoard board(*ring);
  board.set_stream_progress(stream);
  Bystander bystander;
  board.join(bystander);
  std::atomic<std::uint64_t> told{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<bool> done{false};
  std::jthread sync([&] {
    std::uint64_t at = 0;
    for (int i = 0; i < kFailures && !done; ++i) {
      for (int moves = 0; moves < 20 + i % 50; ++moves) stream.set_durable(LogPosition{++at});
      stream.add_unknown(LogPosition{at}, LogPosition{at + 1});
      failed = stream.failures();
      while (told < failed && !done) stream.set_durable(LogPosition{++at});
    }
    done = true;
  });
  while (!done) {
    const std::uint64_t before = failed;
    (void)board.deliver();
    told = bystander.told;
    if (bystander.told < before) {
      done = true;
      ADD_FAILURE() << "told of " << bystander.told << ", not of " << before;
    }
  }
}

}  // namespace
}  // namespace fastlogd::ingest
