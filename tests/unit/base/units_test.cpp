#include "base/units.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(ParseBytes, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(*parse_bytes("0"), 0U);
  EXPECT_EQ(*parse_bytes("512"), 512U);
  EXPECT_EQ(*parse_bytes("512B"), 512U);
  EXPECT_EQ(*parse_bytes("64KiB"), 65536U);
  EXPECT_EQ(*parse_bytes("1.5 GiB"), 1610612736U);
  EXPECT_EQ(*parse_bytes("10MB"), 10'000'000U);
  EXPECT_EQ(*parse_bytes("2TiB"), 2199023255552U);
}

TEST(ParseBytes, RefusesWhatIsNoSize) {
  for (const char* bad : {"", " ", "-1", "+1", "many", "64 apples", "1e3", "inf", "nan", "NaN", "0x10",
                          ".5MiB", "64mib", "9999999999TiB", "1MiB1"}) {
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  }
}

TEST(ParseBytes, NamesTheUnitItDoesNotKnow) {
  EXPECT_THAT(parse_bytes("64 apples").error().context, HasSubstr("unknown unit 'apples'"));
}

TEST(ParseDuration, ReadsEveryUnit) {
  EXPECT_EQ(*parse_duration("0"), nanoseconds(0));
  EXPECT_EQ(*parse_duration("100ms"), milliseconds(100));
  EXPECT_EQ(*parse_duration("1s"), seconds(1));
  EXPECT_EQ(*parse_duration("1.5h"), hours(1) + std::chrono::minutes(30));
  EXPECT_EQ(*parse_duration("5m"), std::chrono::minutes(5));
  EXPECT_EQ(*parse_duration("30d"), hours(720));
  EXPECT_EQ(*parse_duration("2w"), hours(336));
  EXPECT_EQ(*parse_duration("3us"), nanoseconds(3000));
}

TEST(ParseDuration, NeedsAUnitUnlessItIsZero) {
  EXPECT_FALSE(parse_duration("5"));
  for (const char* bad : {"", "soon", "-1s", "nan", "infs", "400y", "1 fortnight"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(FormatBytes, PrintsTheLargestUnitBelowTheValue) {
  EXPECT_EQ(format_bytes(0), "0B");
  EXPECT_EQ(format_bytes(1023), "1023B");
  EXPECT_EQ(format_bytes(1536), "1.5KiB");
  EXPECT_EQ(format_bytes(256U << 20), "256MiB");
  EXPECT_EQ(format_bytes(std::uint64_t{3} << 50), "3072TiB");
}

TEST(FormatBytes, CarriesIntoTheNextUnitWhenRoundingReachesIt) {
  EXPECT_EQ(format_bytes((std::uint64_t{1} << 20) - 1), "1MiB") << "not 1024.0KiB";
}

TEST(FormatDuration, PrintsTheLargestUnitBelowTheValue) {
  EXPECT_EQ(format_duration(nanoseconds(0)), "0ns");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(format_duration(hours(720)), "30d");
  EXPECT_EQ(format_duration(nanoseconds(250)), "250ns");
  EXPECT_EQ(format_duration(nanoseconds(2'500)), "2.5us");
}

TEST(FormatDuration, PrintsManyDaysAsDigits) {
  EXPECT_EQ(format_duration(hours(24 * 36500)), "36500d");
}

TEST(Units, WhatIsPrintedReadsBackEqual) {
  for (const std::uint64_t bytes : {1U, 1024U, 65536U, 5U << 20, 1U << 30}) {
    EXPECT_EQ(*parse_bytes(format_bytes(bytes)), bytes);
  }
  for (const nanoseconds duration :
       {nanoseconds(milliseconds(1)), nanoseconds(seconds(90)), nanoseconds(hours(48))}) {
    EXPECT_EQ(*parse_duration(format_duration(duration)), duration);
  }
}

}  // namespace
}  // namespace fastlogd
