#include "record/priority.hpp"

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

TEST(Priority, IsFacilityTimesEightPlusSeverity) {
  const Priority local7_debug{191};
  EXPECT_EQ(local7_debug.severity(), Severity::debug);
  EXPECT_EQ(local7_debug.facility(), 23u);
  EXPECT_EQ(Priority{}.severity(), Severity::info);
  EXPECT_EQ(facility_name(Priority{}.facility()), "user");
}

TEST(SeverityNames, AreReadAsTheyAreWritten) {
  for (int i = 0; i < 8; ++i) {
    const auto severity = static_cast<Severity>(i);
    EXPECT_EQ(parse_severity(severity_name(severity)), severity);
  }
}

TEST(SeverityNames, HaveTheAliasesOfSyslogAndDigits) {
  EXPECT_EQ(parse_severity("error"), Severity::err);
  EXPECT_EQ(parse_severity("warn"), Severity::warning);
  EXPECT_EQ(parse_severity("panic"), Severity::emerg);
  EXPECT_EQ(parse_severity("0"), Severity::emerg);
  EXPECT_EQ(parse_severity("7"), Severity::debug);
  EXPECT_EQ(parse_severity("8"), std::nullopt);
  EXPECT_EQ(parse_severity(""), std::nullopt);
  EXPECT_EQ(parse_severity("ERR"), std::nullopt);
}

TEST(FacilityNames, AreReadAsTheyAreWritten) {
  for (unsigned facility = 0; facility < 24; ++facility) {
    EXPECT_EQ(parse_facility(facility_name(facility)), facility);
  }
  EXPECT_EQ(facility_name(24), "unknown");
  EXPECT_EQ(parse_facility("unknown"), std::nullopt);
}

}  // namespace
}  // namespace fastlogd
