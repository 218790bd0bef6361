#include "daemon/vital_signs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const VitalSigns::Clock::time_point kStart{seconds(1000)};

TEST(VitalSigns, FindNothingWrongWhileCountsGrow) {
  VitalSigns signs;
  for (int second = 0; second < 60; ++second) {
    signs.observe("io 0", static_cast<std::uint64_t>(second), kStart + seconds(second));
    EXPECT_THAT(signs.stalled(kStart + seconds(second), seconds(5)), IsEmpty());
  }
}

TEST(VitalSigns, NameAThreadWhoseCountStandsStillForTheBound) {
  VitalSigns signs;
  for (int second = 0; second <= 10; ++second) {
    signs.observe("io 0", static_cast<std::uint64_t>(second), kStart + seconds(second));
    signs.observe("append main", second < 3 ? static_cast<std::uint64_t>(second) : 3,
                  kStart + seconds(second));
    const auto stalled = signs.stalled(kStart + seconds(second), seconds(5));
    if (second < 8) {
      EXPECT_THAT(stalled, IsEmpty()) << second;
    } else {
      EXPECT_THAT(stalled, ElementsAre("append main")) << second;
    }
  }
}

TEST(VitalSigns, ForgiveAThreadThatMovesAgain) {
  VitalSigns signs;
  signs.observe("io 0", 1, kStart);
  EXPECT_THAT(signs.stalled(kStart + seconds(9), seconds(5)), ElementsAre("io 0"));
  signs.observe("io 0", 2, kStart + seconds(9));
  EXPECT_THAT(signs.stalled(kStart + seconds(9), seconds(5)), IsEmpty());
}

}  // namespace
}  // namespace fastlogd::daemon
