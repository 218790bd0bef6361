#include "ingest/kernel_drops.hpp"

#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

TEST(DropMeter, CountsTheDifference) {
  DropMeter meter;
  EXPECT_EQ(meter.advance(0), 0U);
  EXPECT_EQ(meter.advance(5), 5U);
  EXPECT_EQ(meter.advance(5), 0U);
  EXPECT_EQ(meter.advance(7), 2U);
}

TEST(DropMeter, TakesTheTotalModuloTwoToThe32) {
  DropMeter meter(0xfffffff0U);
  EXPECT_EQ(meter.advance(0x10), 0x20U);
}

TEST(DropMeter, IgnoresAnOlderTotalThatArrivesLate) {
  DropMeter meter;
  EXPECT_EQ(meter.advance(100), 100U);  // SO_MEMINFO: now
  EXPECT_EQ(meter.advance(80), 0U);     // SO_RXQ_OVFL of a datagram that was queued before
  EXPECT_EQ(meter.advance(101), 1U);
}

}  // namespace
}  // namespace fastlogd::ingest
