// What the commands that read show of a damaged log, and that they say so.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "read_log_fixture.hpp"
#include "segment/recovery.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::ctl {
namespace {

TEST_F(ReadLogTest, SaysThatItMetDamage) {
  fill(3);
  arguments_.output = "short";
  EXPECT_EQ(read().size(), 15U);
  const std::string path = segment::segment_path(log_.directory(), 2);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  std::fstream(path, std::ios::in | std::ios::out).seekp(segment::kHeaderBytes + 300) << "damage";
  const auto lines = read(ExitCode::corruption);
  EXPECT_LT(lines.size(), 15U);
  EXPECT_EQ(
      std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("-- gap"); }),
      1);
  arguments_.reverse = true;
  auto backwards = read(ExitCode::corruption);
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(backwards, lines);
  arguments_.reverse = false;
  arguments_.lines = "8";
  const auto newest = read(ExitCode::corruption);
  EXPECT_EQ(std::count_if(newest.begin(), newest.end(),
                          [](const auto& line) { return line.starts_with("-- gap"); }),
            1)
      << "it is found on the way back and told on the way forward";
  arguments_.output = "cat";
  (void)read(ExitCode::corruption);
  arguments_.lines.clear();
  arguments_.pattern = "nowhere";
  EXPECT_TRUE(read(ExitCode::corruption).empty()) << "what is not found may be what is damaged";
}

TEST_F(ReadLogTest, TakesDamageThatAStartHasWrittenDownForHistory) {
  log_.begin();
  log_.add_records(2);
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::damaged, .count = 3}));
  log_.add_records(1);
  log_.seal();
  EXPECT_EQ(read(), test::records(1, 3));
}

TEST_F(ReadLogTest, TellsOfDamageBehindTheNewestRecord) {
  log_.begin();
  log_.add_records(4);
  const std::uint64_t fifth = log_.writer.offset();
  log_.add_records(1);
  log_.seal();
  test::flip_bit(log_.path(1), fifth + 8, 0);
  arguments_.output = "short";
  EXPECT_EQ(read(ExitCode::corruption).size(), 5U);
  for (const char* lines : {"1", "2"}) {
    arguments_.lines = lines;
    const auto shown = read(ExitCode::corruption);
    ASSERT_EQ(shown.size(), std::stoul(lines) + 1);
    EXPECT_TRUE(shown.back().starts_with("-- gap")) << shown.back();
  }
  arguments_.lines = "1";
  arguments_.pattern = "record 2";
  EXPECT_EQ(read(ExitCode::corruption).size(), 1U) << "a newer match may be what is damaged";
}

TEST_F(ReadLogTest, TellsOfALossBehindTheNewestRecord) {
  log_.begin();
  log_.add_records(2);
  ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::kernel_udp, .count = 17}));
  log_.seal();
  arguments_.output = "short";
  arguments_.lines = "1";
  const auto shown = read();
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_TRUE(shown.back().starts_with("-- gap")) << shown.back();
}

TEST_F(ReadLogTest, SaysWhatIsMissingRightBehindACursor) {
  log_.begin();
  log_.add_records(5);
  arguments_.show_cursor = true;
  arguments_.after_cursor = read().back().substr(11);
  arguments_.show_cursor = false;
  const std::uint64_t sixth = log_.writer.offset();
  log_.add_records(5);
  log_.seal();
  test::flip_bit(log_.path(1), sixth + 8, 0);
  EXPECT_TRUE(read(ExitCode::corruption).empty());
  arguments_.output = "short";
  EXPECT_EQ(read(ExitCode::corruption).size(), 1U) << "the gap";
  arguments_.reverse = true;
  EXPECT_EQ(read(ExitCode::corruption).size(), 1U) << "the gap";
}

TEST_F(ReadLogTest, GoesOnBehindACursorWhoseRecordsAPowerLossTook) {
  log_.begin();
  log_.add_records(3);
  const std::uint64_t end = log_.writer.offset();
  log_.add_records(5);
  arguments_.show_cursor = true;
  arguments_.after_cursor = read().back().substr(11);
  arguments_.show_cursor = false;
  test::poke(log_.path(1), end, std::vector<std::byte>(log_.writer.offset() - end));
  const auto report = segment::recover(posix_file_system(), log_.directory(), log_.log_uuid);
  ASSERT_TRUE(report.has_value());
  log_.epoch = report->epoch;
  log_.next_index = report->next_index;
  log_.next_sequence = report->next_sequence;
  fill(1);
  EXPECT_EQ(read(), test::records(4, 8));
}

}  // namespace
}  // namespace fastlogd::ctl
