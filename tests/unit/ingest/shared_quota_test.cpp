#include "ingest/shared_quota.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ingest/shared_grant.hpp"

namespace fastlogd::ingest {
namespace {

TEST(SharedQuota, IsOfEachUserAndComesBack) {
  SharedQuota quota;
  std::vector<SharedQuota::Lease> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(quota.take(7, 100, 3, 1000));
    EXPECT_TRUE(held.back());
  }
  EXPECT_FALSE(quota.take(7, 100, 3, 1000)) << "too many";
  EXPECT_TRUE(quota.take(8, 100, 3, 1000)) << "somebody else";
  held.pop_back();
  EXPECT_FALSE(quota.take(7, 801, 3, 1000)) << "too large";
  EXPECT_TRUE(quota.take(7, 800, 3, 1000));
  SharedQuota::Lease moved = std::move(held.back());
  held.clear();
  EXPECT_TRUE(quota.take(7, 900, 3, 1000)) << "one of 100 bytes is left";
  EXPECT_FALSE(quota.take(7, 901, 3, 1000));
  const SharedQuota::Lease over = quota.charge(7, 5000);
  EXPECT_TRUE(over) << "it is there already";
  EXPECT_FALSE(quota.take(7, 1, 3, 1000));
}

TEST(SharedGrant, IsAPowerOfTwoThatHoldsTheLargestRecord) {
  SharedQuota quota;
  LimitOptions limits;
  const auto capacity = [&](std::uint64_t wanted) {
    const SharedGrant grant = grant_shared_memory(quota, limits, 1, wanted);
    EXPECT_EQ(grant.refusal, wire::ShareRefusal::none);
    return grant.memory.parts().capacity;
  };
  EXPECT_EQ(capacity(1), 256 * limits::kKiB) << "four records of the longest kind";
  EXPECT_EQ(capacity(1'000'000), limits::kMiB);
  EXPECT_EQ(capacity(UINT64_MAX), limits::kSharedRingBytesMax);
  limits.record_bytes_max = 64;
  EXPECT_EQ(capacity(1), limits::kSharedRingBytesMin);
}

TEST(SharedGrant, SaysWhyThereIsNone) {
  SharedQuota quota;
  LimitOptions limits;
  limits.shared_rings_max = 0;
  EXPECT_EQ(grant_shared_memory(quota, limits, 1, 1).refusal, wire::ShareRefusal::off);
  limits.shared_rings_max = 1;
  const SharedGrant first = grant_shared_memory(quota, limits, 1, 1);
  EXPECT_EQ(grant_shared_memory(quota, limits, 1, 1).refusal, wire::ShareRefusal::quota);
  EXPECT_EQ(grant_shared_memory(quota, limits, 2, 1).refusal, wire::ShareRefusal::none);
}

}  // namespace
}  // namespace fastlogd::ingest
