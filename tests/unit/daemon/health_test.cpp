#include "daemon/health.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Health, IsOkWhenNothingIsWrong) {
  Condition condition;
  condition.streams = {{.name = "main"}};
  EXPECT_STREQ(judge(condition).word(), "ok");
  EXPECT_EQ(health_page(condition), "ok\nconfiguration generation 1, 0 reloads applied, 0 refused\n");
}

TEST(Health, IsDegradedButAliveWhileNoSegmentCanBePrepared) {
  Condition condition;
  condition.streams = {{.name = "main", .prepare_error = "Too many open files"}, {.name = "audit"}};
  const Health health = judge(condition);
  EXPECT_TRUE(health.alive);
  EXPECT_STREQ(health.word(), "degraded");
  EXPECT_THAT(health.reasons,
              ElementsAre("stream main: no further segment can be prepared: Too many open files"));
}

TEST(Health, IsDegradedWhileTheTextFileCanNotGoOn) {
  Condition condition;
  condition.streams = {{.name = "main", .text_failing = true}};
  EXPECT_TRUE(judge(condition).alive);
  EXPECT_THAT(health_page(condition), StartsWith("degraded\nstream main: the text file falls behind"));
}

TEST(Health, IsDegradedWhileTheFileBeingWrittenHasNoName) {
  Condition condition;
  condition.streams = {{.name = "main", .active_removed = true}};
  EXPECT_TRUE(judge(condition).alive) << "a restart would lose what is in it";
  EXPECT_THAT(health_page(condition),
              StartsWith("degraded\nstream main: the file being written was removed or renamed"));
}

TEST(Health, IsDegradedWhileASyncDoesNotReturn) {
  Condition condition;
  condition.streams = {{.name = "main", .sync_seconds = 12}, {.name = "audit", .sync_seconds = 9}};
  const Health health = judge(condition);
  EXPECT_TRUE(health.alive) << "another process would wait for the same disk";
  EXPECT_THAT(health.reasons, ElementsAre(HasSubstr("stream main: a sync has been under way for 12 s")));
}

TEST(Health, HasFailedWhenAStoreHasFailedForGood) {
  Condition condition;
  condition.streams = {{.name = "main", .store_failed = true}};
  EXPECT_FALSE(judge(condition).alive);
  EXPECT_THAT(health_page(condition), StartsWith("failed\nstream main: "));
}

TEST(Health, SaysWhatAFailedSyncHasLeftOnceItIsOvercome) {
  Condition condition;
  condition.streams = {{.name = "main", .fail_overs = 2, .unknown_records = 17}};
  const Health health = judge(condition);
  EXPECT_TRUE(health.alive);
  EXPECT_STREQ(health.word(), "degraded");
  EXPECT_THAT(health.reasons, ElementsAre(HasSubstr("2 of its segments failed to sync, 17 records")));
}

TEST(Health, SaysThatTheLastStartFoundDamage) {
  Condition condition;
  condition.streams = {{.name = "main", .damage_found = 3}, {.name = "sound"}};
  const Health health = judge(condition);
  EXPECT_TRUE(health.alive);
  EXPECT_STREQ(health.word(), "degraded");
  EXPECT_THAT(health.reasons, ElementsAre(HasSubstr("stream main: the last start found damage")));
}

TEST(Health, HasFailedWhenAThreadHangs) {
  Condition condition;
  condition.stalled_threads = {"io 0"};
  const Health health = judge(condition);
  EXPECT_FALSE(health.alive);
  EXPECT_THAT(health.reasons, ElementsAre(HasSubstr("io 0")));
}

TEST(Health, IsDegradedWhileNobodyFindsAListener) {
  Condition condition;
  condition.listeners_without_file = {"app"};
  const Health health = judge(condition);
  EXPECT_TRUE(health.alive);
  EXPECT_THAT(health.reasons, ElementsAre("listener app: its socket file is gone; a reload opens it again"));
}

TEST(Health, ShowsTheFirstProblemOfARefusedReload) {
  Condition condition;
  condition.config_error = "/etc/f.yaml:3:1: unknown key 'x'\n/etc/f.yaml:9:1: more\n";
  condition.reloads_refused = 1;
  const std::string page = health_page(condition);
  EXPECT_THAT(page,
              HasSubstr("configuration: the last reload was refused: /etc/f.yaml:3:1: unknown key 'x'\n"));
  EXPECT_THAT(page, Not(HasSubstr("more")));
  EXPECT_TRUE(judge(condition).alive);
}

TEST(Health, SaysThatChangesWaitForARestart) {
  Condition condition;
  condition.generation = 4;
  condition.reloads_applied = 3;
  condition.waiting_for_restart = 2;
  EXPECT_EQ(health_page(condition),
            "ok\nconfiguration generation 4, 3 reloads applied, 0 refused, 2 changes wait for a restart\n");
}

}  // namespace
}  // namespace fastlogd::daemon
