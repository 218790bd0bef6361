#include "ctl/read_log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "ctl/failure.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::ctl {
namespace {

using test::kFirstTime;
using test::LogBuilder;

class ReadLogTest : public testing::Test {
 protected:
  ReadLogTest() : log_(directory_.path() + "/main") {
    arguments_.target.directory = directory_.path() + "/main";
  }

  /// Five records in each of `segments` sealed segments.
  void fill(int segments) {
    for (int n = 0; n < segments; ++n) {
      log_.begin();
      log_.add_records(5);
      log_.seal();
    }
  }

  /// What the command prints, line by line.
  std::vector<std::string> read(ExitCode expected = ExitCode::done) {
    char name[] = "/tmp/fl-ctl-XXXXXX";
    const UniqueFd file(::mkstemp(name));
    ::unlink(name);
    {
      Output output(file.get());
      EXPECT_EQ(read_log(understand(arguments_, kFirstTime), output, Terminal{}), expected);
    }
    std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  test::TempDirectory directory_;
  LogBuilder log_;
  ReadArguments arguments_{.output = "cat"};
};

std::string at(std::int64_t nanos_after_start) {
  const std::int64_t time = kFirstTime + nanos_after_start;
  return fmt::format("@{}.{:09}", time / 1'000'000'000, time % 1'000'000'000);
}

TEST_F(ReadLogTest, ShowsEveryRecordInOrderAcrossSegments) {
  fill(3);
  EXPECT_EQ(read(), test::records(1, 15));
}

TEST_F(ReadLogTest, ShowsThemBackwards) {
  fill(3);
  arguments_.reverse = true;
  auto expected = test::records(1, 15);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(read(), expected);
}

TEST_F(ReadLogTest, ShowsTheNewestSoMany) {
  fill(3);
  arguments_.lines = "7";
  EXPECT_EQ(read(), test::records(9, 15));
  arguments_.lines = "100";
  EXPECT_EQ(read(), test::records(1, 15));
  arguments_.lines = "0";
  EXPECT_EQ(read(ExitCode::nothing_found), test::records(1, 0));
}

TEST_F(ReadLogTest, CountsOnlyMatchesWhenItGoesBack) {
  fill(3);
  arguments_.lines = "2";
  arguments_.pattern = "record [0-9]$";
  EXPECT_EQ(read(), test::records(8, 9));
  arguments_.reverse = true;
  EXPECT_EQ(read(), (std::vector<std::string>{"record 9", "record 8"}));
}

TEST_F(ReadLogTest, SelectsByTimeInBothDirections) {
  fill(4);
  arguments_.since = at(4);
  arguments_.until = at(17);
  EXPECT_EQ(read(), test::records(4, 17));
  arguments_.lines = "3";
  EXPECT_EQ(read(), test::records(15, 17));
  arguments_.lines.clear();
  arguments_.reverse = true;
  auto expected = test::records(4, 17);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(read(), expected);
}

TEST_F(ReadLogTest, SaysWhenNothingIsFound) {
  fill(1);
  arguments_.pattern = "nowhere";
  EXPECT_TRUE(read(ExitCode::nothing_found).empty());
}

TEST_F(ReadLogTest, GoesOnBehindACursor) {
  fill(1);
  arguments_.show_cursor = true;
  auto lines = read();
  ASSERT_EQ(lines.size(), 6U);
  ASSERT_TRUE(lines.back().starts_with("-- cursor: ")) << lines.back();
  arguments_.after_cursor = lines.back().substr(11);
  EXPECT_EQ(read(ExitCode::nothing_found).back(), lines.back()) << "nothing new: the same place";
  fill(2);
  arguments_.show_cursor = false;
  EXPECT_EQ(read(), test::records(6, 15));
}

TEST_F(ReadLogTest, ShowsGapsWhereTheyDoNotDisturb) {
  log_.begin();
  log_.add_records(2);
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::kernel_udp, .count = 17}));
  log_.add_records(1);
  log_.seal();
  EXPECT_EQ(read(), test::records(1, 3));
  arguments_.output = "short";
  EXPECT_EQ(read().size(), 4U);
  EXPECT_NE(read()[2].find("17"), std::string::npos);
  arguments_.output = "json";
  EXPECT_TRUE(read()[2].starts_with("{\"gap\":"));
  arguments_.pattern = "record";
  EXPECT_EQ(read().size(), 3U) << "a search shows what it found";
}

TEST_F(ReadLogTest, WordsAreAStreamAndConditions) {
  fill(1);
  arguments_.target.directory = directory_.path();
  arguments_.words = {"main", "identifier=app"};
  EXPECT_EQ(read().size(), 5U);
  arguments_.words = {"identifier!=app"};
  EXPECT_TRUE(read(ExitCode::nothing_found).empty());
  arguments_.words = {"main", "other"};
  EXPECT_THROW(read(), Failure);
  arguments_.words = {"other"};
  EXPECT_THROW(read(), Failure);
}

TEST_F(ReadLogTest, RefusesWhatMakesNoSense) {
  fill(1);
  const auto exit_code = [&] {
    try {
      (void)understand(arguments_, kFirstTime);
      return ExitCode::done;
    } catch (const Failure& failure) {
      return failure.code();
    }
  };
  EXPECT_EQ(exit_code(), ExitCode::done);
  for (const char* lines : {"many", "-1", "1x", " "}) {
    arguments_.lines = lines;
    EXPECT_EQ(exit_code(), ExitCode::usage) << lines;
  }
  arguments_.lines.clear();
  for (const char* cursor : {"x", "p=;s=1", "p=1;s=", "p=g;s=1", "p=1"}) {
    arguments_.after_cursor = cursor;
    EXPECT_EQ(exit_code(), ExitCode::usage) << cursor;
  }
  arguments_.after_cursor.clear();
  arguments_.since = at(5);
  arguments_.until = at(4);
  EXPECT_EQ(exit_code(), ExitCode::usage);
  arguments_.since.clear();
  arguments_.follow = arguments_.reverse = true;
  EXPECT_EQ(exit_code(), ExitCode::usage);
}

TEST(FollowALiveLog, ShowsWhatIsPublishedAndEndsWhenNobodyReads) {
  const test::TempDirectory directory;
  test::LiveLog log(directory.path() + "/main");
  log.begin();
  log.add_records(3);
  log.publish();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ReadArguments arguments{.output = "cat", .follow = true};
  arguments.target.directory = log.directory();
  arguments.lines = "1";
  std::thread follower([&] {
    Output output(ends[1]);
    EXPECT_EQ(read_log(understand(arguments, kFirstTime), output, Terminal{}), ExitCode::done);
  });
  std::string seen;
  const auto read_until = [&](const std::string& end) {
    char byte = 0;
    while (!seen.ends_with(end) && ::read(ends[0], &byte, 1) == 1) seen += byte;
  };
  read_until("record 3\n");
  log.add_records(2);
  log.publish();
  read_until("record 5\n");
  EXPECT_EQ(seen, "record 3\nrecord 4\nrecord 5\n");
  ::signal(SIGPIPE, SIG_IGN);
  ::close(ends[0]);
  follower.join();
  ::close(ends[1]);
}

}  // namespace
}  // namespace fastlogd::ctl
