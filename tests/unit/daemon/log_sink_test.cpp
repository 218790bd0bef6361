#include "daemon/log_sink.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

using ::testing::MatchesRegex;

std::string what_is_written(LogStyle style) {
  install_log_sink(style);
  ::testing::internal::CaptureStderr();
  diag::error("disk {} is sick", "sda");
  diag::info("all is well");
  return ::testing::internal::GetCapturedStderr();
}

TEST(LogSink, PutsSyslogPrioritiesBeforeLinesForTheJournal) {
  EXPECT_EQ(what_is_written(LogStyle::prioritized), "<3>disk sda is sick\n<6>all is well\n");
}

TEST(LogSink, StampsLinesForPeople) {
  EXPECT_THAT(what_is_written(LogStyle::timestamped),
              MatchesRegex("....-..-..T..:..:......[+-]..:.. error: disk sda is sick\n"
                           "....-..-..T..:..:......[+-]..:.. info: all is well\n"));
}

TEST(LogSink, KeepsBraceAndPercentAsTheyAre) {
  install_log_sink(LogStyle::prioritized);
  ::testing::internal::CaptureStderr();
  diag::warning("{}", "100% {x} %v");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "<4>100% {x} %v\n");
}

TEST(LogStyleChoice, FollowsTheStreamThatTheJournalNames) {
  struct stat status{};
  ASSERT_EQ(::fstat(STDERR_FILENO, &status), 0);
  ::setenv("JOURNAL_STREAM", (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)).c_str(),
           1);
  EXPECT_EQ(choose_log_style(), LogStyle::prioritized);
  ::setenv("JOURNAL_STREAM", "1:2", 1);
  EXPECT_EQ(choose_log_style(), LogStyle::timestamped);
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_EQ(choose_log_style(), LogStyle::timestamped);
}

}  // namespace
}  // namespace fastlogd::daemon
