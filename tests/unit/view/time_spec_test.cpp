#include "view/time_spec.hpp"

#include <cstdlib>
#include <ctime>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "record/timestamp.hpp"

namespace fastlogd::view {
namespace {

std::int64_t utc(int year, unsigned month, unsigned day, unsigned hour = 0, unsigned minute = 0,
                 unsigned second = 0) {
  return CivilTime{year, month, day, hour, minute, second, 0}.utc_seconds() * kNanosPerSecond;
}

const std::int64_t kNow = utc(2026, 11, 22, 23, 5, 1);

/// Every test reads clocks in Berlin: an hour east of UTC in winter, two in summer.
class TimeSpec : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* const zone = std::getenv("TZ")) before_ = zone;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
  }
  void TearDown() override {
    before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
    tzset();
  }
  static std::int64_t parsed(std::string_view text, std::int64_t now = kNow) {
    const auto time = parse_time(text, now);
    EXPECT_TRUE(time.has_value()) << text;
    return time ? *time : 0;
  }

 private:
  std::string before_;
};

TEST_F(TimeSpec, NamesDays) {
  EXPECT_EQ(parsed("now"), kNow);
  EXPECT_EQ(parsed("today"), utc(2026, 11, 22, 23));
  EXPECT_EQ(parsed("yesterday"), utc(2026, 11, 21, 23));
  EXPECT_EQ(parsed("tomorrow"), utc(2026, 11, 23, 23));
}

TEST_F(TimeSpec, FindsMidnightWhenTheClocksChange) {
  const std::int64_t short_day = utc(2026, 3, 29, 10);
  EXPECT_EQ(parsed("today", short_day), utc(2026, 3, 28, 23));
  EXPECT_EQ(parsed("tomorrow", short_day), utc(2026, 3, 29, 22));
  const std::int64_t after_long_day = utc(2026, 10, 26, 10);
  EXPECT_EQ(parsed("yesterday", after_long_day), utc(2026, 10, 24, 22));
}

TEST_F(TimeSpec, CountsFromNow) {
  EXPECT_EQ(parsed("-1h"), kNow - 3600 * kNanosPerSecond);
  EXPECT_EQ(parsed("+5m"), kNow + 300 * kNanosPerSecond);
  EXPECT_EQ(parsed("-1h30m"), kNow - 5400 * kNanosPerSecond);
  EXPECT_EQ(parsed("2d ago"), kNow - 2 * 86400 * kNanosPerSecond);
  EXPECT_EQ(parsed("-0.5s"), kNow - kNanosPerSecond / 2);
}

TEST_F(TimeSpec, ReadsDatesInTheLocalZone) {
  EXPECT_EQ(parsed("2026-07-01"), utc(2026, 6, 30, 22));
  EXPECT_EQ(parsed("2026-11-22 10:00"), utc(2026, 11, 22, 9));
  EXPECT_EQ(parsed("2026-11-22 10:00:00.5"), utc(2026, 11, 22, 9) + kNanosPerSecond / 2);
  EXPECT_EQ(parsed("10:00"), utc(2026, 11, 23, 9));
  EXPECT_EQ(parsed("2026-11-22T10:00:00"), utc(2026, 11, 22, 9));
  EXPECT_EQ(parsed("2026-07-01T10:00:00"), utc(2026, 7, 1, 8));
}

TEST_F(TimeSpec, ReadsTheSameTimeBehindATAndASpaceWhenTheClocksChange) {
  EXPECT_EQ(parsed("2026-10-25T01:30:00"), utc(2026, 10, 24, 23, 30)) << "still summer time";
  EXPECT_EQ(parsed("2026-03-29T01:30:00"), utc(2026, 3, 29, 0, 30)) << "still winter time";
  for (const char* const day : {"2026-03-29", "2026-10-25"}) {
    for (int hour = 0; hour < 24; ++hour) {
      const std::string clock = fmt::format("{:02}:30:00.25", hour);
      EXPECT_EQ(parsed(fmt::format("{}T{}", day, clock)), parsed(fmt::format("{} {}", day, clock)))
          << day << ' ' << clock;
    }
  }
  EXPECT_EQ(parsed("2026-10-25T01:30:00+02:00"), utc(2026, 10, 24, 23, 30));
}

TEST_F(TimeSpec, ReadsRfc3339) {
  EXPECT_EQ(parsed("2026-11-22T10:00:00Z"), utc(2026, 11, 22, 10));
  EXPECT_EQ(parsed("2026-11-22T10:00:00.123-05:00"), utc(2026, 11, 22, 15) + 123'000'000);
}

TEST_F(TimeSpec, ReadsSecondsSinceTheEpoch) {
  EXPECT_EQ(parsed("@1795300000"), 1'795'300'000 * kNanosPerSecond);
  EXPECT_EQ(parsed("@1795300000.25"), 1'795'300'000 * kNanosPerSecond + 250'000'000);
  EXPECT_EQ(parsed("@0"), 0);
}

TEST_F(TimeSpec, RefusesEverythingElseByName) {
  for (const std::string_view text : {"",
                                      "soon",
                                      "-",
                                      "-1",
                                      "1h",
                                      "-1x",
                                      "ago",
                                      " ago",
                                      "@",
                                      "@-1",
                                      "@1x",
                                      "@1.",
                                      "@99999999999999",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "2026-11-22 ",
                                      "2026-11-22 25:00",
                                      "2026-11-22T10:00:00+1",
                                      "2026-11-22x",
                                      "10:0",
                                      "9999-01-01",
                                      "-300y",
                                      "-1e300y"}) {
    const auto time = parse_time(text, kNow);
    EXPECT_FALSE(time.has_value()) << text;
    if (time) continue;
    EXPECT_NE(time.error().context.find(fmt::format("'{}'", text)), std::string::npos);
  }
}

}  // namespace
}  // namespace fastlogd::view
