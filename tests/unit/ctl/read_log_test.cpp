#include "ctl/read_log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "ctl/failure.hpp"
#include "ctl/scan.hpp"
#include "read_log_fixture.hpp"

namespace fastlogd::ctl {
namespace {

using test::kFirstTime;
using test::LogBuilder;

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

TEST_F(ReadLogTest, StopsAtACursorWhenItGoesBack) {
  fill(2);
  arguments_.show_cursor = true;
  arguments_.after_cursor = read().back().substr(11);
  arguments_.show_cursor = false;
  EXPECT_TRUE(read(ExitCode::nothing_found).empty());
  arguments_.reverse = true;
  EXPECT_TRUE(read(ExitCode::nothing_found).empty());
  fill(2);
  auto newer = test::records(11, 20);
  arguments_.reverse = false;
  EXPECT_EQ(read(), newer);
  for (const char* lines : {"all", "10", "11"}) {
    arguments_.lines = lines;
    EXPECT_EQ(read(), newer) << lines;
  }
  arguments_.lines = "3";
  EXPECT_EQ(read(), test::records(18, 20)) << "the newest, not the first behind the cursor";
  arguments_.reverse = true;
  EXPECT_EQ(read(), (std::vector<std::string>{"record 20", "record 19", "record 18"}));
  arguments_.lines.clear();
  std::reverse(newer.begin(), newer.end());
  EXPECT_EQ(read(), newer);
}

TEST_F(ReadLogTest, GoesByNumberWhereACursorsPlaceIsGone) {
  fill(4);
  for (const bool reverse : {false, true}) {
    arguments_.reverse = reverse;
    arguments_.after_cursor = "p=100000fff;s=12";  // no frame begins there
    EXPECT_EQ(read().size(), 8U);
    arguments_.after_cursor = "p=100000fff;s=20";
    EXPECT_TRUE(read(ExitCode::nothing_found).empty());
  }
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

/// Three records until time 3, a gap from 3 to 6, two records from 9 on: in one segment, or the gap as the first one's end.
class GapInTime : public ReadLogTest, public testing::WithParamInterface<bool> {
 protected:
  GapInTime() {
    log_.begin();
    log_.add_records(3);
    FASTLOGD_CHECK(log_.writer.append_gap({.reason = ingress::LossReason::kernel_udp,
                                           .count = 17,
                                           .from_ns = kFirstTime + 3,
                                           .to_ns = kFirstTime + 6}));
    log_.time_shift = 5;
    if (GetParam()) {
      log_.seal();
      log_.begin();
    }
    log_.add_records(2);
    arguments_.output = "short";
  }

  /// "gap" and numbers of records, as they are shown.
  std::string shown(const std::string& since, const std::string& until, ExitCode expected = ExitCode::done) {
    arguments_.since = since;
    arguments_.until = until;
    std::string all;
    for (const std::string& line : read(expected))
      all += line.starts_with("-- gap") ? "g" : line.substr(line.size() - 1);
    return all;
  }

  /// The same of what commands that count are given.
  std::string scanned(const std::string& since, const std::string& until) {
    std::string all;
    const ScanArguments arguments{.target = arguments_.target, .since = since, .until = until};
    EXPECT_TRUE(scan(arguments, [&](const segment::LogItem& item) {
      const bool gap = item.kind == segment::LogItem::Kind::gap;
      all += gap ? "g" : std::to_string(item.record.sequence.value);
    }));
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(, GapInTime, testing::Bool(), [](const auto& over_a_roll) {
  return over_a_roll.param ? "AtTheEndOfASegment" : "WithinASegment";
});

TEST_P(GapInTime, IsShownIfItReachesIntoTheTimeAskedFor) {
  EXPECT_EQ(shown("", ""), "123g45");
  EXPECT_EQ(shown(at(3), ""), "3g45");
  EXPECT_EQ(shown(at(5), ""), "g45");
  EXPECT_EQ(shown(at(6), ""), "g45");
  EXPECT_EQ(shown(at(7), ""), "45");
  EXPECT_EQ(shown("", at(2)), "12");
  EXPECT_EQ(shown("", at(3)), "123g");
  EXPECT_EQ(shown(at(4), at(5), ExitCode::nothing_found), "g");
  EXPECT_EQ(shown(at(10), at(11)), "5");
}

TEST_P(GapInTime, IsShownBackwardsToo) {
  arguments_.reverse = true;
  EXPECT_EQ(shown(at(5), ""), "54g");
  EXPECT_EQ(shown(at(7), ""), "54");
  EXPECT_EQ(shown("", at(2)), "21");
  EXPECT_EQ(shown("", at(4)), "g321");
  EXPECT_EQ(shown(at(4), at(5), ExitCode::nothing_found), "g");
}

TEST_P(GapInTime, IsCountedIfItReachesIntoTheTimeAskedFor) {
  EXPECT_EQ(scanned("", ""), "123g45");
  EXPECT_EQ(scanned(at(5), ""), "g45");
  EXPECT_EQ(scanned(at(7), ""), "45");
  EXPECT_EQ(scanned("", at(2)), "12");
  EXPECT_EQ(scanned(at(4), at(5)), "g");
}

TEST_P(GapInTime, IsItsOwnAndNotThatOfThePlaceWhereItStands) {
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::durability_unknown,
                                      .count = 2,
                                      .first = Sequence{1},
                                      .last = Sequence{2},
                                      .from_ns = kFirstTime + 1,
                                      .to_ns = kFirstTime + 2}));
  EXPECT_EQ(shown(at(2), ""), "23g45g");
  EXPECT_EQ(shown(at(7), ""), "45");
  EXPECT_EQ(scanned(at(2), ""), "23g45g");
  EXPECT_EQ(scanned(at(7), ""), "45");
}

TEST_P(GapInTime, IsShownByANumberOfLinesSinceATime) {
  arguments_.lines = "10";
  EXPECT_EQ(shown(at(5), ""), "g45");
  arguments_.lines = "2";
  EXPECT_EQ(shown("", at(5)), "23g") << "what is lost behind the newest is told, too";
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
