// The follower's thread over real logs.
#include "follow/text_follower.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "follow/log_line_source.hpp"
#include "segment/recovery.hpp"
#include "support/log_builder.hpp"
#include "unit/follow/fakes.hpp"

namespace fastlogd::follow::test {
namespace {

using fastlogd::test::LiveLog;
using fastlogd::test::LogBuilder;
using std::chrono::steady_clock;

/// The messages of the file's lines, gap lines as they are.
std::vector<std::string> messages(const std::string& path) {
  std::vector<std::string> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t message = line.find("app: ");
    found.push_back(message == std::string::npos ? line : line.substr(message + 5));
  }
  return found;
}

class TextFollowerTest : public testing::Test {
 protected:
  TextFollowerTest() { diag::set_level(diag::Level::error); }

  std::unique_ptr<TextFollower> follow(const std::string& log_directory) {
    return std::make_unique<TextFollower>(FollowedStream{"main", log_directory, limits::kMiB}, options_,
                                          counters_);
  }
  static steady_clock::time_point soon() { return steady_clock::now() + std::chrono::seconds(10); }
  bool eventually(const std::function<bool()>& what) const {
    for (int n = 0; n < 2000 && !what(); ++n) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return what();
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_ / "main.log";
  SnapshotBox<TextFileOptions> options_{
      std::make_shared<const TextFileOptions>(TextFileOptions{.path = path_, .rotate_bytes = 0})};
  TextFileCounters counters_;
};

TEST_F(TextFollowerTest, WritesWhatIsPublishedWhileTheLogGrows) {
  LiveLog log(directory_ / "main");
  log.begin();
  log.add_records(3);
  log.publish();
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(eventually([&] { return messages(path_) == fastlogd::test::records(1, 3); }));
  log.add_records(2);
  EXPECT_EQ(messages(path_).size(), 3U);
  log.publish();
  EXPECT_TRUE(eventually([&] { return messages(path_) == fastlogd::test::records(1, 5); }));
  log.seal();
  log.begin();
  log.add_records(4);
  log.publish();
  EXPECT_TRUE(follower->stop(soon())) << "drains what was published before";
  EXPECT_EQ(messages(path_), fastlogd::test::records(1, 9));
  EXPECT_EQ(counters_.lines.value(), 9U);
  EXPECT_EQ(counters_.lag_bytes.load(), 0U);
}

TEST_F(TextFollowerTest, GoesOnInTheNextRunWhereTheLastOneEnded) {
  LogBuilder log(directory_ / "main");
  for (int run = 0; run < 3; ++run) {
    log.begin();
    log.add_records(4);
    log.seal();
    const auto follower = follow(log.directory());
    follower->start();
    EXPECT_TRUE(follower->stop(soon()));
  }
  EXPECT_EQ(messages(path_), fastlogd::test::records(1, 12));
}

TEST_F(TextFollowerTest, NamesWhatRetentionRemovedBetweenTwoRuns) {
  LogBuilder log(directory_ / "main");
  log.begin();
  log.add_records(2);
  log.seal();
  {
    const auto follower = follow(log.directory());
    follower->start();
    EXPECT_TRUE(follower->stop(soon()));
  }
  log.begin();
  log.add_records(3);
  log.seal();
  log.begin();
  log.add_records(1);
  log.seal();
  std::filesystem::remove(log.path(1));
  std::filesystem::remove(log.path(2));
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(follower->stop(soon()));
  const auto lines = messages(path_);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_NE(lines[2].find("gap"), std::string::npos) << lines[2];
  EXPECT_NE(lines[2].find('3'), std::string::npos) << lines[2];
  EXPECT_NE(lines[2].find('5'), std::string::npos) << lines[2];
  EXPECT_EQ(lines[3], "record 6");
  EXPECT_EQ(counters_.overtaken.value(), 1U);
}

TEST_F(TextFollowerTest, WritesWhatGotTheNumbersOfRecordsThatAPowerLossTook) {
  LogBuilder log(directory_ / "main");
  log.begin();
  log.add_records(3);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  {
    const auto follower = follow(log.directory());
    follower->start();
    EXPECT_TRUE(follower->stop(soon()));
  }
  fastlogd::test::poke(log.path(1), end, std::vector<std::byte>(log.writer.offset() - end));
  const auto report = segment::recover(posix_file_system(), log.directory(), log.log_uuid);
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->next_sequence, 4U);
  log.epoch = report->epoch;
  log.next_index = report->next_index;
  log.next_sequence = report->next_sequence;
  log.begin();
  log.add_records(6, "new");
  log.seal();
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(follower->stop(soon()));
  auto expected = fastlogd::test::records(1, 8);
  const auto newer = fastlogd::test::records(4, 9, "new");
  expected.insert(expected.end(), newer.begin(), newer.end());
  EXPECT_EQ(messages(path_), expected);
}

TEST_F(TextFollowerTest, WaitsForALogThatIsNotThereYetAndStopsAllTheSame) {
  const auto follower = follow(directory_ / "main");
  follower->start();
  EXPECT_FALSE(follower->stop(steady_clock::now() + std::chrono::milliseconds(50)));
}

TEST_F(TextFollowerTest, TouchesNothingWhileItIsHeld) {
  LiveLog log(directory_ / "main");
  log.begin();
  log.add_records(1);
  log.publish();
  {
    const auto follower = follow(log.directory());
    follower->start_held();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(std::filesystem::exists(log.directory() + "/" + kCursorName));
}

TEST_F(TextFollowerTest, SaysWhileAnErrorIsInItsWay) {
  LiveLog log(directory_ / "main");
  log.begin();
  log.add_records(1);
  log.publish();
  std::filesystem::create_directory(path_);
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(eventually([&] { return counters_.failing.load(); }));
  std::filesystem::remove(path_);
  EXPECT_TRUE(eventually([&] { return !counters_.failing.load(); }));
  EXPECT_TRUE(follower->stop(soon()));
  EXPECT_EQ(messages(path_), fastlogd::test::records(1, 1));
}

TEST_F(TextFollowerTest, TakesANewPathAndRotatesOnRequestWhileItRuns) {
  LiveLog log(directory_ / "main");
  log.begin();
  log.add_records(1);
  log.publish();
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(eventually([&] { return messages(path_).size() == 1; }));
  follower->rotate();
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(path_ + ".1"); }));
  const std::string other = directory_ / "other.log";
  options_.publish(std::make_shared<const TextFileOptions>(TextFileOptions{.path = other}));
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(other); }));
  log.add_records(2);
  log.publish();
  EXPECT_TRUE(eventually([&] { return messages(other) == fastlogd::test::records(2, 3); }));
  EXPECT_TRUE(follower->stop(soon()));
}

TEST_F(TextFollowerTest, ANewlineInAMessageStaysOneLine) {
  LogBuilder log(directory_ / "main");
  log.begin();
  ASSERT_TRUE(log.add("two\nlines\x1b[31m\r"));
  log.seal();
  const auto follower = follow(log.directory());
  follower->start();
  EXPECT_TRUE(follower->stop(soon()));
  EXPECT_EQ(messages(path_), std::vector<std::string>{R"(two\nlines\x1b[31m)"});
}

TEST(MakeTextFile, SaysBeforeAReloadWhatWouldFail) {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(directory / "main.log", directory / "link");
  const auto refused = make_text_file({.path = directory / "link"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("symbolic link"), std::string::npos);
  EXPECT_FALSE(make_text_file({.path = directory / "absent/main.log"}));
}

TEST(MakeTextFile, SaysWhetherItWasThereAndLeavesItAlone) {
  const TemporaryDirectory directory;
  const auto first = make_text_file({.path = directory / "main.log"});
  ASSERT_TRUE(first);
  EXPECT_TRUE(*first);
  std::ofstream(directory / "main.log") << "a line\n";
  const auto second = make_text_file({.path = directory / "main.log"});
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  EXPECT_EQ(messages(directory / "main.log").size(), 1U);
}

}  // namespace
}  // namespace fastlogd::follow::test
