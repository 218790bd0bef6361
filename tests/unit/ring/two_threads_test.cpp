// Ring and wake signals together, between real threads; the thread sanitizer's build runs the padded layout.
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ring/byte_ring.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::ring {
namespace {

constexpr std::size_t kCapacity = 64 * 1024;
constexpr auto kNever = std::chrono::seconds(30);  // a wait that long is a lost wake-up

struct Entry {
  std::uint32_t bytes;
  std::uint32_t fill;
  std::uint64_t number;
};

std::uint64_t seed() {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  const std::uint64_t value = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed %llu (set FASTLOGD_TEST_SEED to repeat)\n", static_cast<unsigned long long>(value));
  return value;
}

/// One producer's ring; all share the consumer's data signal.
struct Lane {
  std::unique_ptr<ByteRing> ring;
  std::unique_ptr<WakeSignal> space = *WakeSignal::create();
};

void produce(Lane& lane, WakeSignal& data, std::uint64_t entries, std::uint64_t seed, bool& lost) {
  std::mt19937_64 random(seed);
  for (std::uint64_t number = 0; number < entries; ++number) {
    const auto bytes =
        static_cast<std::uint32_t>(sizeof(Entry) + 8 * (random() % (random() % 64 == 0 ? 3000 : 20)));
    std::span<std::byte> room = lane.ring->reserve(bytes + 8 * (random() % 4));
    while (room.empty()) {
      lane.ring->publish();
      data.notify();
      lane.space->arm();
      if (!lane.ring->has_space(bytes) && !lane.space->wait(kNever)) lost = true;
      lane.space->disarm();
      if (lost) return;
      room = lane.ring->reserve(bytes);
    }
    const Entry entry{.bytes = bytes, .fill = static_cast<std::uint32_t>(random() & 0xff), .number = number};
    std::memcpy(room.data(), &entry, sizeof entry);
    std::memset(room.data() + sizeof entry, static_cast<int>(entry.fill), bytes - sizeof entry);
    lane.ring->commit(bytes);
    if (random() % 8 == 0) {
      lane.ring->publish();
      data.notify();
    }
    if (random() % 512 == 0) std::this_thread::yield();
  }
  lane.ring->publish();
  data.notify();
}

/// Checks every entry of a peeked span; returns how many bytes they are.
std::size_t check(std::span<const std::byte> bytes, std::uint64_t& next) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    Entry entry{};
    std::memcpy(&entry, bytes.data() + done, sizeof entry);
    EXPECT_EQ(entry.number, next++);
    EXPECT_LE(done + entry.bytes, bytes.size()) << "an entry was split";
    if (done + entry.bytes > bytes.size()) return 0;
    for (std::size_t i = sizeof entry; i < entry.bytes; ++i) {
      if (bytes[done + i] != static_cast<std::byte>(entry.fill)) ADD_FAILURE() << "entry " << entry.number;
    }
    done += entry.bytes;
  }
  return done;
}

class TwoThreads : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Producers, TwoThreads, testing::Values(1, 3));

TEST_P(TwoThreads, HandOverEverythingInOrderWithoutLosingAWakeUp) {
  const std::uint64_t first_seed = seed();
  const std::uint64_t entries = 60'000;
  const auto data = *WakeSignal::create();
  std::vector<Lane> lanes(GetParam());
  for (Lane& lane : lanes) lane.ring = *ByteRing::create(kCapacity);
  std::array<bool, 3> lost{};
  std::vector<std::thread> producers;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    producers.emplace_back([&, i] { produce(lanes[i], *data, entries, first_seed + i, lost[i]); });
  }
  std::vector<std::uint64_t> next(lanes.size(), 0);
  const auto total = [&] {
    std::uint64_t sum = 0;
    for (const std::uint64_t one : next) sum += one;
    return sum;
  };
  bool woken = true;
  while (woken && total() < entries * lanes.size()) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const std::size_t bytes = check(lanes[i].ring->peek(), next[i]);
      if (bytes == 0) continue;
      taken += bytes;
      lanes[i].ring->release(bytes);
      lanes[i].ring->publish_space();
      lanes[i].space->notify();
    }
    if (taken > 0) continue;
    data->arm();
    bool any = false;
    for (Lane& lane : lanes) any = any || lane.ring->has_data();
    if (!any) woken = data->wait(kNever);
    data->disarm();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_TRUE(woken) << "the consumer slept for good";
  for (const bool one : lost) EXPECT_FALSE(one) << "a producer slept for good";
  for (Lane& lane : lanes) EXPECT_FALSE(lane.ring->has_data());
}

TEST(WakeSignal, DoesNotWakeWithoutANotify) {
  const auto signal = *WakeSignal::create();
  signal->arm();
  EXPECT_FALSE(signal->wait(std::chrono::milliseconds(20)));
  signal->disarm();
}

TEST(WakeSignal, WakesASleeperThatHasArmedOnceAndOnlyOnce) {
  const auto signal = *WakeSignal::create();
  signal->arm();
  signal->notify();
  signal->notify();
  EXPECT_TRUE(signal->wait(kNever));
  signal->disarm();
  signal->arm();
  EXPECT_FALSE(signal->wait(std::chrono::milliseconds(20)));
  signal->disarm();
}

TEST(WakeSignal, KeepsQuietWhileNobodyHasArmed) {
  const auto signal = *WakeSignal::create();
  signal->notify();
  signal->arm();
  EXPECT_FALSE(signal->wait(std::chrono::milliseconds(20)));
  signal->disarm();
}

TEST(WakeSignal, InterruptsASleeperWhetherItHasArmedOrNot) {
  const auto signal = *WakeSignal::create();
  signal->interrupt();
  signal->arm();
  EXPECT_TRUE(signal->wait(kNever));
  signal->disarm();
  signal->arm();
  EXPECT_FALSE(signal->wait(std::chrono::milliseconds(20))) << "disarm drains";
  signal->disarm();
}

}  // namespace
}  // namespace fastlogd::ring
