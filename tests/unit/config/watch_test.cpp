// The watcher's time is handed in, so only the kernel's part is real: events are queued when a call returns.
#include "config/watch.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/reloader.hpp"
#include "unit/config/config_support.hpp"

namespace fastlogd::config {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;

constexpr std::int64_t kMs = 1'000'000;

class WatcherTest : public ::testing::Test {
 protected:
  void start(const std::string& path) {
    auto created = Watcher::create(path, now_);
    ASSERT_TRUE(created) << created.error().message();
    watcher_.emplace(std::move(*created));
  }

  /// Lets `ms` pass and returns how often the files would have been read, without the fallback's help unless
  /// `ms` is long enough for it.
  int pass(std::int64_t ms) {
    int reads = 0;
    for (std::int64_t i = 0; i < ms; i += 10) {
      watcher_->on_readable(now_);
      now_ += 10 * kMs;
      reads += watcher_->on_time(now_) ? 1 : 0;
    }
    return reads;
  }

  TemporaryDirectory directory_;
  std::optional<Watcher> watcher_;
  std::int64_t now_ = 1'000'000 * kMs;
};

TEST_F(WatcherTest, SleepsWhileNothingHappens) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  EXPECT_EQ(pass(30'000), 0);
  EXPECT_GT(watcher_->next_deadline_ns(), now_) << "no busy loop";
}

TEST_F(WatcherTest, SeesAWriteInPlaceAfterTheQuietTime) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  directory_.write("fastlogd.yaml", "b\n");
  watcher_->on_readable(now_);
  EXPECT_EQ(watcher_->next_deadline_ns(), now_ + kQuietNs);
  EXPECT_FALSE(watcher_->on_time(now_ + kQuietNs - 1));
  EXPECT_TRUE(watcher_->on_time(now_ + kQuietNs));
  EXPECT_FALSE(watcher_->on_time(now_ + kQuietNs + 1));
}

TEST_F(WatcherTest, IsNotWokenInTheMiddleOfAWrite) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  std::ofstream file(directory_.path("fastlogd.yaml"), std::ios::trunc);
  file << "half" << std::flush;
  EXPECT_EQ(pass(1000), 0);
  file << " and half\n";
  file.close();
  EXPECT_EQ(pass(1000), 1);
}

TEST_F(WatcherTest, IsNotWokenInTheMiddleOfAWriteByAnotherFile) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  directory_.write("draft", "b\n");
  EXPECT_EQ(pass(50), 0);
  std::ofstream file(directory_.path("fastlogd.yaml"), std::ios::trunc);
  EXPECT_EQ(pass(90), 0) << "the draft's quiet time ends";
  file << "half" << std::flush;
  EXPECT_EQ(pass(90), 0);
  file << " and half\n";
  file.close();
  EXPECT_EQ(pass(1000), 1);
}

TEST_F(WatcherTest, AFileThatIsWrittenForEverCannotHoldItOff) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  directory_.write("draft", "b\n");
  std::ofstream file(directory_.path("fastlogd.yaml"), std::ios::app);
  int reads = 0;
  for (std::int64_t waited = 0; waited < kQuietWaitMaxNs; waited += 50 * kMs) {
    EXPECT_EQ(reads, 0);
    file << "more\n" << std::flush;
    reads += pass(50);
  }
  EXPECT_EQ(reads, 1);
}

TEST_F(WatcherTest, SeesARenameOver) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  for (int i = 0; i < 3; ++i) {
    directory_.replace("fastlogd.yaml", "b\n");
    EXPECT_EQ(pass(1000), 1) << i;
  }
}

TEST_F(WatcherTest, ManyEventsAreOneRead) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  for (int i = 0; i < 50; ++i) {
    directory_.write("fastlogd.yaml", std::to_string(i));
    EXPECT_EQ(pass(10), 0);
  }
  EXPECT_EQ(pass(1000), 1);
}

TEST_F(WatcherTest, ADirectoryThatNeverRestsCannotHoldItOff) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  int reads = 0;
  for (int i = 0; i < 410; ++i) {
    directory_.write("busy", "x");
    reads += pass(10);
  }
  EXPECT_EQ(reads, 2) << "one each two seconds";
}

TEST_F(WatcherTest, FollowsKubernetesSwappingItsDataLink) {
  directory_.write("..1/fastlogd.yaml", "a\n");
  fs::create_directory_symlink("..1", directory_.path("..data"));
  fs::create_symlink("..data/fastlogd.yaml", directory_.path("fastlogd.yaml"));
  start(directory_.path("fastlogd.yaml"));
  EXPECT_THAT(watcher_->directories(), ElementsAre(directory_.path(), directory_.path("..1")));
  for (int i = 2; i < 5; ++i) {
    const std::string name = ".." + std::to_string(i);
    directory_.write(name + "/fastlogd.yaml", "b\n");
    fs::create_directory_symlink(name, directory_.path("..data_tmp"));
    fs::rename(directory_.path("..data_tmp"), directory_.path("..data"));
    fs::remove_all(directory_.path(".." + std::to_string(i - 1)));
    EXPECT_EQ(pass(1000), 1) << name;
    EXPECT_THAT(watcher_->directories(), ElementsAre(directory_.path(), directory_.path(name)));
  }
}

TEST_F(WatcherTest, FollowsALinkToAFileElsewhere) {
  directory_.write("there/real.yaml", "a\n");
  fs::create_directories(directory_.path("here"));
  fs::create_symlink(directory_.path("there/real.yaml"), directory_.path("here/fastlogd.yaml"));
  start(directory_.path("here/fastlogd.yaml"));
  directory_.write("there/real.yaml", "b\n");
  EXPECT_EQ(pass(1000), 1);
}

TEST_F(WatcherTest, SurvivesDeletionAndReCreationOfTheDirectory) {
  start(directory_.write("etc/fastlogd.yaml", "a\n"));
  fs::remove_all(directory_.path("etc"));
  EXPECT_EQ(pass(1000), 1);
  EXPECT_THAT(watcher_->directories(), ElementsAre(directory_.path()));
  directory_.write("etc/fastlogd.yaml", "b\n");
  EXPECT_EQ(pass(1000), 1);
  directory_.write("etc/fastlogd.yaml", "c\n");
  EXPECT_EQ(pass(1000), 1);
  EXPECT_THAT(watcher_->directories(), ElementsAre(directory_.path("etc")));
}

TEST_F(WatcherTest, SeesDropInsInADirectoryThatCameLater) {
  start(directory_.write("fastlogd.yaml", "a\n"));
  directory_.write("conf.d/a.yaml", "b\n");
  EXPECT_EQ(pass(1000), 1);
  directory_.write("conf.d/a.yaml", "c\n");
  EXPECT_EQ(pass(1000), 1);
  fs::remove(directory_.path("conf.d/a.yaml"));
  EXPECT_EQ(pass(1000), 1);
}

TEST_F(WatcherTest, FindsByLookingWhatNoEventTold) {
  const std::string path = directory_.write("etc/fastlogd.yaml", "a\n");
  directory_.write("new/fastlogd.yaml", "longer\n");
  start(path);
  // The watch is on the directory's inode, which only gets another name: inotify has nothing to tell.
  fs::rename(directory_.path("etc"), directory_.path("old"));
  fs::rename(directory_.path("new"), directory_.path("etc"));
  EXPECT_EQ(pass(4'900), 0);
  EXPECT_EQ(pass(300), 1);
  directory_.write("etc/fastlogd.yaml", "b\n");
  EXPECT_EQ(pass(200), 1) << "and watches the new one";
}

TEST_F(WatcherTest, EndsInALoopOfLinksWithoutHanging) {
  fs::create_symlink("b", directory_.path("a"));
  fs::create_symlink("a", directory_.path("b"));
  start(directory_.path("a"));
  EXPECT_THAT(watcher_->directories(), ElementsAre(directory_.path()));
}

TEST_F(WatcherTest, TogetherWithTheReloaderEveryChangeIsExactlyOneReload) {
  const std::string path = directory_.write("fastlogd.yaml", "limits: {connections_max: 1}\n");
  ConfigCounters counters;
  start(path);
  Reloader reloader(path, load(path), MissingFile::refused, counters);
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  for (unsigned i = 2; i < 32; ++i) {
    const bool is_good = i % 3 != 0;
    const std::string text =
        "limits: {connections_max: " + std::string(is_good ? "" : "-") + std::to_string(i) + "}\n";
    (is_good ? good : bad) += 1;
    if (i % 2 == 0) {
      directory_.write("fastlogd.yaml", text);
    } else {
      directory_.replace("fastlogd.yaml", text);
    }
    for (int again = 0; again < 2; ++again) {  // the second time: a touch, the same bytes
      for (int step = 0; step < 30; ++step) {
        watcher_->on_readable(now_);
        now_ += 10 * kMs;
        if (watcher_->on_time(now_) && reloader.reload(Trigger::watch).kind == ReloadOutcome::Kind::ready) {
          reloader.committed();
        }
      }
      directory_.write("fastlogd.yaml", text);
    }
    EXPECT_EQ(counters.reload_success.value(), good);
    EXPECT_EQ(counters.reload_failure.value(), bad);
    EXPECT_EQ(reloader.running()->limits.connections_max == i, is_good);
  }
}

}  // namespace
}  // namespace fastlogd::config
