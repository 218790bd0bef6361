// What `gaps` lists of a log in which several GAP frames tell of the same records.
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ctl/commands.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::ctl {
namespace {

using ingress::LossReason;

class Gaps : public testing::Test {
 protected:
  Gaps() : log_(directory_.path() + "/main") { log_.begin(); }

  void add_gap(LossReason reason, std::uint64_t first, std::uint64_t last) {
    FASTLOGD_CHECK(log_.writer.append_gap(
        {.reason = reason, .count = last - first + 1, .first = Sequence{first}, .last = Sequence{last}}));
    log_.next_sequence = std::max(log_.next_sequence, last + 1);
  }

  /// The lines without the heading, each up to the numbers it names, and the sum.
  std::string listed() {
    CLI::App app;
    ExitCode exit_code = ExitCode::usage;
    add_gaps(app, exit_code);
    testing::internal::CaptureStdout();
    app.parse("gaps --directory " + log_.directory());
    std::istringstream out(testing::internal::GetCapturedStdout());
    EXPECT_EQ(exit_code, ExitCode::done);
    std::string all;
    std::string line;
    std::getline(out, line);
    while (std::getline(out, line)) {
      std::istringstream words(line);
      std::string reason;
      std::string count;
      std::string first;
      std::string last;
      words >> reason >> count >> first >> last;
      all += count == "records" ? line : fmt::format("{} {} {}\n", reason, first, last);
    }
    return all;
  }

  test::TempDirectory directory_;
  test::LogBuilder log_;
};

TEST_F(Gaps, KeepsALossThatLiesAmongRecordsWhichMayBeThere) {
  log_.add_records(2);
  add_gap(LossReason::damaged, 3, 4);
  log_.add_records(2);
  add_gap(LossReason::durability_unknown, 1, 6);
  log_.seal();
  EXPECT_EQ(listed(),
            "damaged 3 4\n"
            "durability_unknown 1 6\n"
            "2 records lost in all, 6 may not be on disk");
}

TEST_F(Gaps, ListsWhatIsToldTwiceOnce) {
  log_.add_records(2);
  add_gap(LossReason::durability_unknown, 1, 1);
  add_gap(LossReason::durability_unknown, 1, 2);
  add_gap(LossReason::segment_full, 3, 4);
  add_gap(LossReason::damaged, 3, 5);
  log_.add_records(1);
  log_.seal();
  EXPECT_EQ(listed(),
            "durability_unknown 1 2\n"
            "damaged 3 5\n"
            "3 records lost in all, 2 may not be on disk");
}

}  // namespace
}  // namespace fastlogd::ctl
