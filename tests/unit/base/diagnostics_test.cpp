#include "base/diagnostics.hpp"

#include <fcntl.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fastlogd {
namespace {

using ::testing::ElementsAre;

class DiagnosticsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lines().clear();
    diag::set_level(diag::Level::info);
    diag::set_sink([](diag::Level level, std::string_view line) {
      lines().push_back(std::to_string(static_cast<int>(level)) + " " + std::string(line));
    });
  }
  void TearDown() override {
    diag::set_level(diag::Level::info);
    diag::set_sink([](diag::Level, std::string_view) {});
  }

  static std::vector<std::string>& lines() {
    static std::vector<std::string> kept;
    return kept;
  }
};

TEST_F(DiagnosticsTest, FormatsAndFiltersByLevel) {
  diag::debug("not {}", "shown");
  diag::info("a {}", 1);
  diag::error("b");
  EXPECT_THAT(lines(), ElementsAre("1 a 1", "3 b"));
  EXPECT_FALSE(diag::enabled(diag::Level::debug));
  diag::set_level(diag::Level::debug);
  diag::debug("now {}", "shown");
  EXPECT_EQ(lines().back(), "0 now shown");
}

TEST_F(DiagnosticsTest, RateLimitKeepsBackAndSaysHowMany) {
  diag::RateLimit limit(50 * kNanosPerMilli);
  for (int i = 0; i < 10; ++i) limit.log(diag::Level::warning, "accept failed: {}", i);
  EXPECT_THAT(lines(), ElementsAre("2 accept failed: 0"));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  limit.log(diag::Level::warning, "accept failed: {}", 10);
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(lines()[1], "2 accept failed: 10 (9 more like this)");
}

TEST_F(DiagnosticsTest, RateLimitsOfTwoErrorsAreApart) {
  diag::RateLimit first;
  diag::RateLimit second;
  first.log(diag::Level::error, "one");
  second.log(diag::Level::error, "two");
  EXPECT_EQ(lines().size(), 2U);
}

TEST_F(DiagnosticsTest, RateLimitDoesNotCountWhatNobodyWants) {
  diag::RateLimit limit;
  limit.log(diag::Level::debug, "quiet");
  limit.log(diag::Level::error, "loud");
  EXPECT_THAT(lines(), ElementsAre("3 loud"));
}

TEST(Error, SaysContextAndCode) {
  EXPECT_EQ(invalid("bad").message(), "bad");
  EXPECT_EQ((Error{{}, "only context"}).message(), "only context");
  EXPECT_EQ((Error{std::make_error_code(std::errc::file_exists), ""}).message(), "File exists");
  errno = ENOSPC;
  EXPECT_EQ(errno_error("write x").message(), "write x: No space left on device");
}

TEST(Error, ValueOfAFailureThrowsWhatItWas) {
  const Result<int> failed = invalid("bad");
  try {
    (void)failed.value();
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_STREQ(error.what(), "bad: Invalid argument");
  }
}

TEST(CheckDeathTest, DiesWithTheConditionAndThePlace) {
  EXPECT_DEATH(FASTLOGD_CHECK(1 + 1 == 3), "broken invariant: 1 \\+ 1 == 3 \\(.*diagnostics_test.cpp:");
}

TEST(UniqueFd, ClosesOnceAndMoves) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  {
    UniqueFd first(raw);
    UniqueFd second = std::move(first);
    EXPECT_EQ(first.get(), -1);  // NOLINT(bugprone-use-after-move): empty by contract
    EXPECT_EQ(second.get(), raw);
    EXPECT_EQ(::fcntl(raw, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
  UniqueFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int released = kept.release();
  EXPECT_FALSE(kept);
  EXPECT_EQ(::close(released), 0);
}

}  // namespace
}  // namespace fastlogd
