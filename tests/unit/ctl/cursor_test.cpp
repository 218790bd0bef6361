// Where a run goes on that is given the last one's cursor, and where it refuses to.
#include <filesystem>

#include <gtest/gtest.h>

#include "ctl/failure.hpp"
#include "read_log_fixture.hpp"

namespace fastlogd::ctl {
namespace {

class CursorTest : public ReadLogTest {
 protected:
  /// What is shown behind the last cursor, which this moves on.
  std::vector<std::string> go_on(ExitCode expected = ExitCode::done) {
    arguments_.show_cursor = true;
    auto lines = read(expected);
    arguments_.after_cursor = lines.back().substr(11);
    lines.pop_back();
    return lines;
  }
  /// As if nothing had been stored, ever.
  void make_anew() {
    std::filesystem::remove_all(log_.directory());
    log_ = test::LogBuilder(directory_.path() + "/main");
  }
  std::string refusal() {
    try {
      (void)read_quietly();
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), ExitCode::usage);
      return failure.what();
    }
    return "";
  }
  void expect_refused_everywhere() {
    for (const bool reverse : {false, true}) {
      for (const char* lines : {"", "3"}) {
        arguments_.reverse = reverse;
        arguments_.lines = lines;
        EXPECT_NE(refusal().find("the log ends before the cursor " + arguments_.after_cursor),
                  std::string::npos);
      }
    }
  }

 private:
  ExitCode read_quietly() {
    Output output(STDOUT_FILENO);
    return read_log(understand(arguments_, test::kFirstTime), output, Terminal{});
  }
};

TEST_F(CursorTest, IsRefusedWhereTheLogWasMadeAnew) {
  fill(3);
  EXPECT_EQ(go_on(), test::records(1, 15));
  make_anew();
  fill(1);
  expect_refused_everywhere();
}

TEST_F(CursorTest, IsRefusedWithinASegmentThatIsNotSoLong) {
  log_.begin();
  log_.add_records(3000);
  EXPECT_EQ(go_on().size(), 3000U);
  make_anew();
  log_.begin();
  log_.add_records(5);
  expect_refused_everywhere();
  arguments_.after_cursor = "p=100040000;s=3000";  // a block begins there
  expect_refused_everywhere();
}

TEST_F(CursorTest, IsRefusedWhereALogMadeAnewHasGrownBeyondIt) {
  fill(1);
  EXPECT_EQ(go_on(), test::records(1, 5));
  make_anew();
  log_.begin();
  log_.add_records(4, std::string(1000, 'x'));
  expect_refused_everywhere();
}

TEST_F(CursorTest, MovesBehindAGapAtTheEndOfTheLog) {
  arguments_.output = "short";
  log_.begin();
  log_.add_records(3);
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::kernel_udp, .count = 17}));
  EXPECT_EQ(go_on().size(), 4U);
  EXPECT_TRUE(go_on(ExitCode::nothing_found).empty()) << "told already";
  ASSERT_TRUE(log_.writer.append_gap(
      {.reason = ingress::LossReason::damaged, .count = 3, .first = Sequence{4}, .last = Sequence{6}}));
  log_.next_sequence = 7;
  EXPECT_EQ(go_on(ExitCode::nothing_found).size(), 1U) << "the new gap";
  EXPECT_TRUE(arguments_.after_cursor.ends_with(";s=6")) << arguments_.after_cursor;
  EXPECT_TRUE(go_on(ExitCode::nothing_found).empty()) << "told already";
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::durability_unknown,
                                      .count = 1,
                                      .first = Sequence{2},
                                      .last = Sequence{2}}));
  EXPECT_EQ(go_on(ExitCode::nothing_found).size(), 1U);
  EXPECT_TRUE(arguments_.after_cursor.ends_with(";s=6")) << "an old number does not take it back";
  log_.add_records(1);
  log_.seal();
  EXPECT_EQ(go_on().size(), 1U);
  EXPECT_TRUE(arguments_.after_cursor.ends_with(";s=7")) << arguments_.after_cursor;
}

TEST_F(CursorTest, StaysInFrontOfAGapBehindTheTimeAskedFor) {
  arguments_.output = "short";
  log_.begin();
  log_.add_records(3);
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::kernel_udp,
                                      .count = 17,
                                      .from_ns = test::kFirstTime + 3,
                                      .to_ns = test::kFirstTime + 4}));
  arguments_.until = "@1700000000.000000002";
  EXPECT_EQ(go_on().size(), 2U);
  arguments_.until.clear();
  EXPECT_EQ(go_on().size(), 2U) << "record 3 and the gap";
}

}  // namespace
}  // namespace fastlogd::ctl
