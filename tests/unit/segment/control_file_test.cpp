#include "segment/control_file.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LiveLog;
using test::TempDirectory;

/// Runs `check` in another process; true if it returned true there.
template <class Check>
bool in_another_process(Check check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(DirectoryLock, IsHeldByOneAndNamesTheHolder) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  const auto second = DirectoryLock::acquire(posix_file_system(), directory.path());
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().context.find(std::string("pid ").append(std::to_string(::getpid()))),
            std::string::npos)
      << second.error().context;
  EXPECT_TRUE(in_another_process(
      [&] { return !DirectoryLock::acquire(posix_file_system(), directory.path()).has_value(); }));
  log.lock.reset();
  const auto third = DirectoryLock::acquire(posix_file_system(), directory.path());
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->log_uuid(), log.log_uuid) << "the log's uuid outlives the daemon";
}

TEST(DirectoryLock, IgnoresAnUnreadableContent) {
  const TempDirectory directory;
  std::ofstream(directory.path() + "/LOCK") << "log=zz\n\n=\nlog\ncontrol=" << std::string(9000, 'x');
  const auto lock = DirectoryLock::acquire(posix_file_system(), directory.path());
  ASSERT_TRUE(lock.has_value());
  EXPECT_FALSE(lock->log_uuid().has_value());
  EXPECT_FALSE(ControlReader::open(directory.path()).has_value());
}

TEST(ControlFile, TellsAReaderInAnotherProcessHowFarTheLogIs) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  log.control->set_committed(LogPosition::of(3, 4096));
  log.control->set_durable(LogPosition::of(2, 8192));
  log.control->set_oldest(LogPosition::of(1, 4096));
  EXPECT_TRUE(in_another_process([&] {
    const auto reader = ControlReader::open(directory.path());
    return reader && reader->current() && reader->committed() == LogPosition::of(3, 4096) &&
           reader->durable() == LogPosition::of(2, 8192) && reader->oldest() == LogPosition::of(1, 4096) &&
           reader->epoch() == 1 && reader->log_uuid() == log.log_uuid &&
           reader->pid() == static_cast<std::uint32_t>(::getppid());
  }));
}

TEST(ControlFile, MeansNothingWithoutTheLock) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  const auto reader = ControlReader::open(directory.path());
  ASSERT_TRUE(reader && reader->current());
  log.die();
  EXPECT_FALSE(reader->current());
  EXPECT_FALSE(ControlReader::open(directory.path()).has_value());
}

TEST(ControlFile, OfAnotherBootOnADiskMeansNothing) {
  std::string disk = "/var/tmp/fastlogd-test-XXXXXX";
  ASSERT_NE(::mkdtemp(disk.data()), nullptr);
  const TempDirectory directory;
  LiveLog log(directory.path());
  const Uuid earlier_boot{9};
  auto control = ControlWriter::create("/dev/shm", std::string("fastlogd-").append(to_string(log.log_uuid)),
                                       {.log_uuid = log.log_uuid, .boot_id = earlier_boot, .epoch = 1});
  ASSERT_TRUE(control.has_value());
  control->set_state(LogState::running);
  EXPECT_TRUE(ControlReader::open(directory.path()).has_value()) << "what lies on tmpfs is of this boot";
  const std::string copy = disk + "/main.control";
  std::filesystem::copy_file(control->control_path(), copy);
  ASSERT_TRUE(log.lock->describe(posix_file_system(), copy, control->wait_path(), log.log_uuid));
  struct statfs info{};
  ASSERT_EQ(::statfs(copy.c_str(), &info), 0);
  EXPECT_EQ(ControlReader::open(directory.path()).has_value(), info.f_type == TMPFS_MAGIC);
  std::filesystem::remove_all(disk);
}

TEST(ControlFile, IsLeftWhenTheDaemonStopsOrIsReplaced) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  const auto stopped = ControlReader::open(directory.path());
  log.control->set_state(LogState::stopped);
  EXPECT_FALSE(stopped->current());
  EXPECT_FALSE(ControlReader::open(directory.path()).has_value());
  log.die();
  log.start();
  const auto replaced = ControlReader::open(directory.path());
  ASSERT_TRUE(replaced && replaced->current());
  log.die();
  log.start();  // a new control file under the same name
  EXPECT_FALSE(replaced->current());
  EXPECT_TRUE(ControlReader::open(directory.path())->current());
}

TEST(ControlFile, RefusesFilesOfTheWrongSizeOrContent) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  const std::string path = log.control->control_path();
  for (const std::size_t bytes : {0U, 100U, 4096U, 8192U}) {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << std::string(bytes, '\x55');
    EXPECT_FALSE(ControlReader::open(directory.path()).has_value()) << bytes;
  }
  ::unlink(path.c_str());
  EXPECT_FALSE(ControlReader::open(directory.path()).has_value());
}

TEST(ControlFile, P10_LosesNoWakeUp) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  log.control->set_committed(LogPosition::of(1, 4096));
  constexpr std::uint64_t kSteps = 20'000;
  std::atomic<std::uint64_t> seen_step{0};
  std::jthread reader_thread([&] {
    const auto reader = ControlReader::open(directory.path());
    std::uint64_t at = 0;
    while (at < kSteps) {
      const LogPosition seen = reader->committed();
      at = seen.offset() / 8 - 512;
      seen_step.store(at);
      // A lost wake-up shows as a wait of ten seconds, since the writer goes on only when this step was seen.
      if (at < kSteps) reader->wait(seen, std::chrono::seconds(10));
    }
  });
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t step = 1; step <= kSteps; ++step) {
    log.control->set_committed(LogPosition::of(1, 4096 + step * 8));
    while (seen_step.load() < step) std::this_thread::yield();
  }
  reader_thread.join();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(9));
}

/// Everybody may write the wait file, and so cut it: neither the daemon nor another reader may die of that.
TEST(ControlFile, OutlivesAWaitFileThatSomebodyCuts) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  log.control->set_committed(LogPosition::of(1, 4096));
  auto reader = ControlReader::open(directory.path());
  ASSERT_TRUE(reader.has_value());
  ASSERT_EQ(::truncate(log.control->wait_path().c_str(), 0), 0);
  reader->wait(LogPosition::of(1, 4096), std::chrono::milliseconds(1));
  log.control->set_committed(LogPosition::of(1, 8192));
  reader->wait(LogPosition::of(1, 4096), std::chrono::seconds(60));  // there is something new: at once
  EXPECT_EQ(reader->committed(), LogPosition::of(1, 8192));
  ASSERT_EQ(::truncate(log.control->wait_path().c_str(), 0), 0);
  const auto began = std::chrono::steady_clock::now();
  reader->wait(LogPosition::of(1, 8192), std::chrono::milliseconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  log.control->set_committed(LogPosition::of(1, 12288));
}

TEST(ControlFile, WakesASleeperWhenTheDaemonStops) {
  const TempDirectory directory;
  LiveLog log(directory.path());
  const auto reader = ControlReader::open(directory.path());
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    log.control->set_state(LogState::stopped);
  });
  const auto began = std::chrono::steady_clock::now();
  while (reader->current() && std::chrono::steady_clock::now() - began < std::chrono::seconds(5)) {
    reader->wait(reader->committed(), std::chrono::seconds(5));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
}

TEST(ControlFile, IsPolledByAReaderThatMayNotWriteTheWaitFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  const TempDirectory directory;
  LiveLog log(directory.path());
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(log.control->wait_path().c_str(), 0600), 0);
  log.control->set_committed(LogPosition::of(1, 4096));
  std::jthread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    log.control->set_committed(LogPosition::of(1, 8192));
  });
  EXPECT_TRUE(in_another_process([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return false;
    const auto reader = ControlReader::open(directory.path());
    if (!reader) return false;
    for (int i = 0; i < 2000 && reader->committed() != LogPosition::of(1, 8192); ++i) {
      reader->wait(LogPosition::of(1, 4096), std::chrono::seconds(1));
    }
    return reader->committed() == LogPosition::of(1, 8192);
  }));
}

TEST(ControlFile, GoesToSharedMemoryIfTheRuntimeDirectoryIsOnADisk) {
  std::string pattern = "/var/tmp/fastlogd-test-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  auto control = ControlWriter::create(pattern, "main", {.log_uuid = random_uuid()});
  ASSERT_TRUE(control.has_value());
  if (control->moved()) {
    EXPECT_TRUE(control->control_path().starts_with("/dev/shm/"));
  } else {
    EXPECT_TRUE(control->control_path().starts_with(pattern));
  }
  control->unlink_files();
  EXPECT_NE(::access(control->control_path().c_str(), F_OK), 0);
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace fastlogd::segment
