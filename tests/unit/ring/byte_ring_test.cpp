#include "ring/byte_ring.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace fastlogd::ring {
namespace {

constexpr std::size_t kCapacity = 64 * 1024;

std::unique_ptr<ByteRing> make(Layout layout, std::size_t capacity = kCapacity) {
  auto ring = ByteRing::create(capacity, layout);
  EXPECT_TRUE(ring.has_value());
  return std::move(*ring);
}

bool put(ByteRing& ring, char fill, std::size_t n) {
  const auto room = ring.reserve(n);
  if (room.empty()) return false;
  std::memset(room.data(), fill, n);
  ring.commit(n);
  return true;
}

/// Takes one entry of `n` bytes and checks that it lies in one piece and is the expected one.
void expect_entry(ByteRing& ring, char fill, std::size_t n) {
  const auto bytes = ring.peek();
  ASSERT_GE(bytes.size(), n);
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n),
                          [&](std::byte b) { return b == static_cast<std::byte>(fill); }));
  ring.release(n);
}

class ByteRingOf : public testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(BothLayouts, ByteRingOf, testing::Values(Layout::doubled, Layout::padded),
                         [](const auto& param) {
                           return param.param == Layout::doubled ? "Doubled" : "Padded";
                         });

TEST_P(ByteRingOf, IsEmptyWhenNew) {
  const auto ring = make(GetParam());
  EXPECT_TRUE(ring->peek().empty());
  EXPECT_FALSE(ring->has_data());
  EXPECT_TRUE(ring->has_space(kCapacity));
}

TEST_P(ByteRingOf, ShowsNothingBeforeCommit) {
  const auto ring = make(GetParam());
  ASSERT_EQ(ring->reserve(64).size(), 64U);
  EXPECT_TRUE(ring->peek().empty());
  ring->commit(64);
  EXPECT_EQ(ring->peek().size(), 64U);
}

TEST_P(ByteRingOf, CommitsLessThanItReserved) {
  const auto ring = make(GetParam());
  std::memcpy(ring->reserve(1024).data(), "abcdefgh", 8);
  ring->commit(8);
  ASSERT_EQ(ring->peek().size(), 8U);
  EXPECT_EQ(std::memcmp(ring->peek().data(), "abcdefgh", 8), 0);
  EXPECT_EQ(ring->written(), 8U);
}

TEST_P(ByteRingOf, GivesAReservationUpWhenNothingIsCommitted) {
  const auto ring = make(GetParam());
  ASSERT_FALSE(ring->reserve(64).empty());
  ring->commit(0);
  EXPECT_EQ(ring->written(), 0U);
  EXPECT_TRUE(ring->peek().empty());
}

TEST_P(ByteRingOf, TellsFullFromEmpty) {
  const auto ring = make(GetParam());
  for (std::size_t i = 0; i < kCapacity / 1024; ++i) ASSERT_TRUE(put(*ring, 'x', 1024));
  EXPECT_FALSE(put(*ring, 'y', 8));
  EXPECT_FALSE(ring->has_space(8));
  EXPECT_EQ(ring->written() - ring->read(), kCapacity);
  std::size_t taken = 0;
  for (auto bytes = ring->peek(); !bytes.empty(); bytes = ring->peek()) {
    taken += bytes.size();
    ring->release(bytes.size());
  }
  EXPECT_EQ(taken, kCapacity);
  EXPECT_FALSE(ring->has_data());
  EXPECT_TRUE(put(*ring, 'y', 8));
}

TEST_P(ByteRingOf, KeepsEveryEntryInOnePieceAtEveryOffset) {
  const auto ring = make(GetParam());
  const std::size_t n = 3 * 4096 + 8;  // does not divide the capacity, so the wrap falls everywhere
  for (int i = 0; i < 3000; ++i) {
    const auto fill = static_cast<char>('a' + i % 26);
    ASSERT_TRUE(put(*ring, fill, n)) << i;
    expect_entry(*ring, fill, n);
  }
}

TEST_P(ByteRingOf, KeepsOrderWhileSeveralEntriesWait) {
  const auto ring = make(GetParam());
  int in = 0;
  int out = 0;
  while (out < 5000) {
    while (in < 5000 + 16 &&
           put(*ring, static_cast<char>(in % 128), 1000 + 8 * static_cast<std::size_t>(in % 37)))
      ++in;
    ASSERT_GT(in, out);
    for (int k = 0; k < 5 && out < in; ++k, ++out) {
      expect_entry(*ring, static_cast<char>(out % 128), 1000 + 8 * static_cast<std::size_t>(out % 37));
    }
  }
}

TEST_P(ByteRingOf, AlwaysHasRoomForHalfTheCapacityOnceEmptied) {
  const auto ring = make(GetParam());
  for (std::size_t step = 8; step < kCapacity; step += 4096 + 8) {
    ASSERT_TRUE(put(*ring, 's', std::min(step, ring->reserve_bytes_max())));
    ring->release(ring->peek().size());
    ASSERT_TRUE(ring->has_space(ring->reserve_bytes_max())) << step;
    ASSERT_TRUE(put(*ring, 'h', ring->reserve_bytes_max())) << step;
    expect_entry(*ring, 'h', ring->reserve_bytes_max());
  }
}

TEST_P(ByteRingOf, WorksBeyondFourGiBOfPositions) {
  const auto ring = make(GetParam());
  ring->start_at((std::uint64_t{1} << 32) - kCapacity / 2);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put(*ring, static_cast<char>(i), 5000));
    expect_entry(*ring, static_cast<char>(i), 5000);
  }
  EXPECT_GT(ring->written(), std::uint64_t{1} << 32);
}

TEST(ByteRing, ReadsPaddingNeither) {
  const auto ring = make(Layout::padded);
  ASSERT_TRUE(put(*ring, 'a', kCapacity / 2));
  ASSERT_TRUE(put(*ring, 'b', kCapacity / 2 - 64));
  expect_entry(*ring, 'a', kCapacity / 2);
  ASSERT_TRUE(put(*ring, 'c', 128));  // 64 bytes are left before the end
  EXPECT_EQ(ring->peek().size(), kCapacity / 2 - 64);
  expect_entry(*ring, 'b', kCapacity / 2 - 64);
  ASSERT_EQ(ring->peek().size(), 128U);
  expect_entry(*ring, 'c', 128);
  EXPECT_EQ(ring->read(), kCapacity + 128);
}

TEST(ByteRing, StopsAtTheEndOfTheMemoryWhenAnEntryEndsThere) {
  const auto ring = make(Layout::padded);
  ASSERT_TRUE(put(*ring, 'a', kCapacity / 2));
  expect_entry(*ring, 'a', kCapacity / 2);
  ASSERT_TRUE(put(*ring, 'b', kCapacity / 2));
  ASSERT_TRUE(put(*ring, 'c', 64));
  EXPECT_EQ(ring->peek().size(), kCapacity / 2);
  expect_entry(*ring, 'b', kCapacity / 2);
  expect_entry(*ring, 'c', 64);
}

TEST(ByteRing, RefusesCapacitiesThatAreNoPowerOfTwoOrNoPage) {
  for (const std::size_t bad : {std::size_t{0}, std::size_t{64}, std::size_t{3} * 4096, kCapacity + 4096}) {
    EXPECT_TRUE(ByteRing::create(bad, Layout::doubled).has_error()) << bad;
    EXPECT_TRUE(ByteRing::create(bad, Layout::padded).has_error()) << bad;
  }
}

TEST(ByteRing, KeepsThePositionsOnDifferentPairsOfCacheLines) {
  EXPECT_EQ(alignof(ByteRing) % kCacheLinePair, 0U);
  EXPECT_GE(sizeof(ByteRing), 3 * kCacheLinePair);
}

TEST(ByteRingDeathTest, DiesOnACommitOfMoreThanWasReserved) {
  const auto ring = make(Layout::padded);
  ASSERT_FALSE(ring->reserve(8).empty());
  EXPECT_DEATH(ring->commit(16), "");
}

}  // namespace
}  // namespace fastlogd::ring
