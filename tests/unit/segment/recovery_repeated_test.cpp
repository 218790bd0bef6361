// Recovery more than once: after an attempt that did not live to its end, and after what came of it.

#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::records;
using test::TempDirectory;

TEST(Recovery, TellsAMissingMiddleOnceAndOnlyOnce) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  for (int run = 0; run < 4; ++run) {
    const auto report = recover_log(log);
    ASSERT_EQ(report.gaps.size(), run == 0 ? 1U : 0U) << "start " << run;
    if (run == 0) {
      EXPECT_EQ(report.gaps[0].first.value, 11U);
      EXPECT_EQ(report.gaps[0].last.value, 20U);
      EXPECT_TRUE(says(report, "a segment is missing", true));
    }
    EXPECT_EQ(report.epoch, static_cast<std::uint64_t>(run) + 2) << "the epoch grows with every run";
    restart(log, report, 1);
  }
  const auto report = verify_directory(directory.path(), {});
  EXPECT_FALSE(report->has_unaccounted_gap());
  EXPECT_EQ(report->reported_lost, 10U);
}

TEST(Recovery, RepeatsAGapThatItsFirstAttemptDidNotLiveToWrite) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  EXPECT_EQ(recover_log(log).gaps.size(), 1U);
  EXPECT_EQ(recover_log(log).gaps.size(), 1U) << "no GAP frame says it yet";
}

TEST(Recovery, RevivesNoFrameOfATornTail) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);  // whole frames behind a hole: not trusted
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  const auto stale = test::read_file(log.current_path());
  (void)recover_log(log);
  // Whatever comes back to the old place, and in whatever new segment: it is not served.
  restart(log, recover_log(log), 0);
  auto fresh = std::span(stale).subspan(end, 400);
  test::poke(log.path(log.next_index - 1), log.writer.offset(), fresh);
  EXPECT_EQ(read(directory.path()), records(1, 5));
}
TEST(Recovery, GivesTheSameAnswerWhereverItsFirstAttemptFails) {
  /// Fails every operation that changes something, from the n-th on, as a crash there would.
  class DiesAt : public test::PassingFileSystem {
   public:
    explicit DiesAt(int after) : left_(after) {}
    bool dead() const { return left_ < 0; }

   private:
    Result<> step() {
      if (--left_ < 0) return Error{std::error_code(EIO, std::system_category()), "dead"};
      return {};
    }
    Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::write_at(fd, bytes, offset);
    }
    Result<> rename(const std::string& from, const std::string& to) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::rename(from, to);
    }
    Result<> unlink(const std::string& path) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::unlink(path);
    }
    Result<> sync_data(int fd) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::sync_data(fd);
    }
    Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::punch(fd, offset, bytes);
    }
    Result<> set_mode(int fd, mode_t mode) override {
      if (auto alive = step(); !alive) return alive;
      return test::PassingFileSystem::set_mode(fd, mode);
    }
    int left_;
  };
  const TempDirectory directory;
  LogBuilder log(directory.path() + "/original");
  log.begin();
  log.add_records(5);
  log.seal_frame();
  log.begin();
  log.add_records(5);
  const std::uint64_t end = log.writer.offset();
  log.add_records(5);
  test::poke(log.current_path(), end, std::vector<std::byte>(8));
  log.prepare();
  log.prepare();
  test::flip_bit(log.current_path(), 30, 0);
  bool died = true;
  for (int after = 0; died; ++after) {
    SCOPED_TRACE(after);
    ASSERT_LT(after, 100);
    const std::string copy = directory.path() + "/" + std::to_string(after);
    std::filesystem::copy(log.directory(), copy);
    DiesAt files(after);
    const auto first = recover(files, copy, log.log_uuid);
    died = files.dead();
    const auto second = recover(posix_file_system(), copy, log.log_uuid);
    ASSERT_TRUE(second.has_value()) << second.error().message();
    EXPECT_EQ(second->next_sequence, 11U);
    EXPECT_EQ(second->next_index, 5U);
    EXPECT_EQ(second->epoch, 2U);
    EXPECT_EQ(second->segments.size(), 2U);
    EXPECT_EQ(read(copy), records(1, 10));
    expect_sound(copy);
    std::filesystem::remove_all(copy);
  }
}

}  // namespace
}  // namespace fastlogd::segment
