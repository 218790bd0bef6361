#include "record/timestamp.hpp"

#include <ctime>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "record/record_view.hpp"

namespace fastlogd {
namespace {

struct Read {
  std::size_t bytes;
  std::int64_t time_ns;
};

Read rfc3339(std::string_view text, std::int64_t offset = 0) {
  Read read{0, -1};
  read.bytes = parse_rfc3339(text, offset, read.time_ns);
  return read;
}

constexpr std::int64_t kSeconds = 1'795'388'701;  // 2026-11-22T23:05:01Z

TEST(CivilTime, AgreesWithTheLibraryOverTheYears) {
  for (std::int64_t seconds = -9'000'000'000; seconds < 9'000'000'000; seconds += 86'400 * 41 + 12'347) {
    const std::time_t when = seconds;
    std::tm expected{};
    gmtime_r(&when, &expected);
    const CivilTime time = civil_time(seconds);
    ASSERT_EQ(time.year, expected.tm_year + 1900);
    ASSERT_EQ(time.month, static_cast<unsigned>(expected.tm_mon + 1));
    ASSERT_EQ(time.day, static_cast<unsigned>(expected.tm_mday));
    ASSERT_EQ(time.hour, static_cast<unsigned>(expected.tm_hour));
    ASSERT_EQ(time.minute, static_cast<unsigned>(expected.tm_min));
    ASSERT_EQ(time.second, static_cast<unsigned>(expected.tm_sec));
    ASSERT_TRUE(time.valid());
    ASSERT_EQ(time.utc_seconds(), seconds);
  }
}

TEST(CivilTime, KnowsWhichDatesExist) {
  EXPECT_TRUE((CivilTime{.year = 2024, .month = 2, .day = 29}.valid()));
  EXPECT_FALSE((CivilTime{.year = 2026, .month = 2, .day = 29}.valid()));
  EXPECT_FALSE((CivilTime{.year = 2100, .month = 2, .day = 29}.valid()));
  EXPECT_FALSE((CivilTime{.month = 13}.valid()));
  EXPECT_FALSE((CivilTime{.month = 255, .day = 255}.valid()));
  EXPECT_FALSE((CivilTime{.day = 0}.valid()));
  EXPECT_FALSE((CivilTime{.hour = 24}.valid()));
}

TEST(Rfc3339, ReadsTheRfcsExamples) {
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01Z").time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-22t23:05:01z").time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-23T00:05:01+01:00").time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-22T19:35:01-03:30").time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01.5Z").time_ns, kSeconds * kNanosPerSecond + 500'000'000);
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01.123456789123Z").time_ns, kSeconds * kNanosPerSecond + 123'456'789);
  EXPECT_EQ(rfc3339("1990-12-31T23:59:60Z").time_ns, rfc3339("1991-01-01T00:00:00Z").time_ns);
}

TEST(Rfc3339, TakesZonesAsTheyAreInTheWild) {
  EXPECT_EQ(rfc3339("2026-11-23T00:05:01+0100").time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-23T00:05:01", 3600).time_ns, kSeconds * kNanosPerSecond);
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01Z", 3600).time_ns, kSeconds * kNanosPerSecond);
}

TEST(Rfc3339, SaysWhereItEnds) {
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01Z text").bytes, 20u);
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01.25+01:00 text").bytes, 28u);
  EXPECT_EQ(rfc3339("2026-11-22T23:05:01 text").bytes, 19u);
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const std::string_view text :
       {"", "2026", "2026-11-22", "2026-11-22T23:05", "2026-11-22 23:05:01", "2026-13-22T23:05:01Z",
        "2026-02-29T23:05:01Z", "2026-11-22T24:05:01Z", "2026-11-22T23:60:01Z", "2026-11-22T23:05:61Z",
        "2026-11-22T23:05:01.Z", "2026-11-22T23:05:01+1", "2026-11-22T23:05:01+24:00",
        "2026-11-22T23:05:01+01:60", "202x-11-22T23:05:01Z", "2026-1a-22T23:05:01Z"}) {
    EXPECT_EQ(rfc3339(text).bytes, 0u) << text;
  }
}

TEST(Rfc3339, KnowsWhatSixtyFourBitsCannotHold) {
  EXPECT_EQ(rfc3339("9999-12-31T23:59:59Z").time_ns, kNoTime);
  EXPECT_EQ(rfc3339("0001-01-01T00:00:00Z").time_ns, kNoTime);
  EXPECT_NE(rfc3339("2261-12-31T23:59:59Z").time_ns, kNoTime);
  EXPECT_NE(rfc3339("1678-01-01T00:00:00Z").time_ns, kNoTime);
}

}  // namespace
}  // namespace fastlogd
