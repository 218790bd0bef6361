#include "ctl/latency_histogram.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::ctl {
namespace {

TEST(LatencyHistogram, IsNothingWhenNothingWasAdded) {
  EXPECT_EQ(LatencyHistogram().percentile(0.5), 0U);
  EXPECT_EQ(LatencyHistogram().max(), 0U);
}

TEST(LatencyHistogram, IsExactForSmallValues) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 10; ++i) histogram.add(i);
  EXPECT_EQ(histogram.percentile(0.5), 5U);
  EXPECT_EQ(histogram.percentile(0.9), 9U);
  EXPECT_EQ(histogram.percentile(1.0), 10U);
  EXPECT_EQ(histogram.max(), 10U);
}

TEST(LatencyHistogram, IsNeverBelowTheTruthAndAtMostASixteenthAbove) {
  std::mt19937_64 random(11);
  std::vector<std::uint64_t> all;
  LatencyHistogram histogram;
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(random() >> (1 + random() % 60));
    histogram.add(static_cast<std::int64_t>(all.back()));
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.9999}) {
    const std::uint64_t truth = all[static_cast<std::size_t>(share * 100'000) - 1];
    const std::uint64_t said = histogram.percentile(share);
    EXPECT_GE(said, truth) << share;
    EXPECT_LE(said, truth + truth / 16 + 1) << share;
  }
  EXPECT_EQ(histogram.percentile(1.0), all.back());
}

TEST(LatencyHistogram, CountsManyAtOnceAndTakesTheLargest) {
  LatencyHistogram histogram;
  histogram.add(100, 999);
  histogram.add(INT64_MAX);
  histogram.add(-5);
  EXPECT_EQ(histogram.count(), 1001U);
  EXPECT_EQ(histogram.max(), static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_LE(histogram.percentile(0.99), 107U);
}

}  // namespace
}  // namespace fastlogd::ctl
