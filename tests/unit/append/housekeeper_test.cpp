// What the housekeeper does with segments that are not active: what others wait for, and what goes wrong.
#include "append/housekeeper.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/segment_file.hpp"
#include "support/faulty_file_system.hpp"
#include "support/passing_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::StoreHarness;
using test::TempDirectory;

constexpr std::uint64_t kSegmentBytes = limits::kMiB;

StreamOptions options_in(const TempDirectory& directory) {
  StreamOptions options;
  options.name = "hk" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = kSegmentBytes;
  options.durability = {.mode = DurabilityMode::none};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

bool eventually(const std::function<bool()>& done, seconds patience = seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end && !done()) std::this_thread::sleep_for(milliseconds(1));
  return done();
}

/// The fdatasync behind a trailer takes until it is let go.
class SlowTrailers : public test::PassingFileSystem {
 public:
  ~SlowTrailers() override { let_go = true; }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (offset == kSegmentBytes - segment::kTrailerBytes) trailer_of_ = fd;
    return PassingFileSystem::write_at(fd, bytes, offset);
  }
  Result<> sync_data(int fd) override {
    if (fd == trailer_of_.load()) {
      waits = true;
      const bool in_time = eventually([&] { return let_go.load(); });
      EXPECT_TRUE(in_time);
      trailer_of_ = -1;
    }
    return PassingFileSystem::sync_data(fd);
  }
  std::atomic<bool> waits{false};
  std::atomic<bool> let_go{false};

 private:
  std::atomic<int> trailer_of_{-1};
};

TEST(Housekeeper, WritesTrailersThatNobodyWaitsFor) {
  const TempDirectory directory;
  SlowTrailers files;
  StoreHarness harness(options_in(directory), files);
  harness.define_source(0, {.identifier = "x"});
  harness.send({"before"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  harness.store->rotate();
  ASSERT_TRUE(eventually([&] { return files.waits.load(); }));
  harness.send({"behind"});
  ASSERT_TRUE(harness.wait_until_stored(2));
  EXPECT_TRUE(harness.store->sync(seconds(3))) << "both segments' records are on disk";
  EXPECT_EQ(harness.store->durable(), harness.store->committed());
  files.let_go = true;
  harness.stop();
}

/// Maps for dax as any file system can, and somebody cuts the file at once.
class CutWhenMapped : public test::PassingFileSystem {
 public:
  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    if ((flags & MAP_SYNC) == 0) return PassingFileSystem::map(fd, offset, bytes, prot, flags);
    auto mapping = PassingFileSystem::map(fd, offset, bytes, prot, MAP_SHARED);
    EXPECT_EQ(::ftruncate(fd, 64 * limits::kKiB), 0);
    return mapping;
  }
};

TEST(Housekeeper, OutlivesAFileThatIsCutWhileItsPagesAreMadeReady) {
  const TempDirectory directory;
  CutWhenMapped files;
  StreamOptions options = options_in(directory);
  options.durability.mode = DurabilityMode::dax;
  const auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                       {.files = files, .runtime_directory = "/dev/shm"});
  ASSERT_TRUE(store.has_value()) << store.error().message();
  const StoreStatus status = (*store)->status();
  EXPECT_EQ(status.write, "dax");
  EXPECT_FALSE(status.populated_ahead);
}

// What a reader has open gives its blocks back later: deleting on and on would cost the whole log.
/// How often a thread of this process has given up the processor; the first whose name begins so.
std::uint64_t sleeps_of(const std::string& thread) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string line;
    if (std::getline(std::ifstream(task.path() / "comm"), line) && !line.starts_with(thread)) continue;
    for (std::ifstream status(task.path() / "status"); std::getline(status, line);) {
      if (line.starts_with("voluntary_ctxt_switches:")) return std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return 0;
}

TEST(Housekeeper, WakesNobodyForPagesWhereNothingIsMapped) {
  const TempDirectory directory;
  StreamOptions options = options_in(directory);
  options.write = WriteBy::pwrite;
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.send({"first"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  ASSERT_TRUE(eventually([] { return sleeps_of("fl-ahead-") > 0; })) << "the populator has a thread";
  const std::uint64_t before = sleeps_of("fl-ahead-");
  for (std::uint64_t n = 2; n <= 300; ++n) {
    harness.send({"one more"});
    ASSERT_TRUE(harness.wait_until_stored(n));
  }
  EXPECT_LT(sleeps_of("fl-ahead-") - before, 30U);
  EXPECT_FALSE(harness.store->status().populated_ahead);
  harness.stop();
}

TEST(Housekeeper, DeletesNoMoreThanEnoughForAFullDiskThatStaysFull) {
  const TempDirectory directory;
  const StreamOptions options = options_in(directory);
  {
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    for (std::uint64_t n = 1; n <= 6; ++n) {
      harness.send(std::vector<std::string>(9, std::string(100'000, 'x')));  // fills one
      ASSERT_TRUE(harness.wait_until_stored(9 * n));
      harness.store->rotate();
      ASSERT_TRUE(eventually([&] { return harness.store->counters().rolls.value() >= n; }));
    }
    harness.stop();
  }
  const auto segments = [&] {
    return segment::list_segments(posix_file_system(), options.directory).value().size();
  };
  const std::size_t before = segments();
  ASSERT_GE(before, 6U);
  test::FaultyFileSystem files;
  files.fail(test::Op::allocate, ENOSPC);
  const auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                       {.files = files, .runtime_directory = "/dev/shm"});
  ASSERT_TRUE(store.has_value()) << "a full disk is waited for";
  EXPECT_GE(segments(), before - 2) << "the first ones may hold a little less than a new one takes";
  EXPECT_LT(segments(), before);
  EXPECT_TRUE((*store)->counters().disk_full.load());
  EXPECT_EQ((*store)->counters().prepare_error.load(), ENOSPC);
}

TEST(Housekeeper, NoticesThatTheFileBeingWrittenIsGoneUntilTheNextOneIsWritten) {
  const TempDirectory directory;
  const StreamOptions options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.send({"kept as long as the daemon runs"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  const auto removed = [&] { return harness.store->counters().active_removed.load(); };
  EXPECT_FALSE(removed());
  const std::string path = segment::segment_path(options.directory, harness.store->committed().segment());
  std::filesystem::remove(path);
  EXPECT_TRUE(eventually(removed));
  harness.store->rotate();
  EXPECT_TRUE(eventually([&] { return !removed(); }));
  harness.stop();
}

TEST(Housekeeper, NoticesThatTheFileBeingWrittenWasReplaced) {
  const TempDirectory directory;
  const StreamOptions options = options_in(directory);
  StoreHarness harness(options);
  const std::string path = segment::segment_path(options.directory, harness.store->committed().segment());
  ASSERT_TRUE(std::filesystem::exists(path));
  std::filesystem::copy_file(path, path + ".copy");
  std::filesystem::rename(path + ".copy", path);
  EXPECT_TRUE(eventually([&] { return harness.store->counters().active_removed.load(); }));
  harness.stop();
}

TEST(Housekeeper, SealsWhenABurstIsOver) {
  const TempDirectory directory;
  StoreHarness harness(options_in(directory));
  const auto began = std::chrono::steady_clock::now();
  harness.store->rotate();
  ASSERT_TRUE(eventually([&] { return harness.store->counters().segments_sealed.value() == 1; }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(250));
}

/// The most segments that were unsealed at once during a hundred rolls, as fast as they go: the disk decides how fast.
std::uint64_t most_unsealed(StreamOptions options, std::uint64_t bytes_max) {
  options.retention.bytes_max = bytes_max;
  const StoreHarness harness(options);
  const AppendCounters& counters = harness.store->counters();
  std::uint64_t most = 0;
  const auto roll = [&] {
    harness.store->rotate();
    const std::uint64_t prepared = counters.segments_prepared.value();  // first: never too many then
    most = std::max(most, prepared - counters.segments_sealed.value());
    return counters.rolls.value() >= 100;
  };
  const bool done = eventually(roll, seconds(60));
  EXPECT_TRUE(done);
  return most;
}

TEST(Housekeeper, LeavesAFewSegmentsUnsealedWhileABurstLasts) {
  const TempDirectory directory;
  EXPECT_EQ(most_unsealed(options_in(directory), 0), limits::kUnsealedSmallSegments);
  EXPECT_EQ(most_unsealed(options_in(directory), 12 * kSegmentBytes), 6U) << "half of what it may keep";
  EXPECT_EQ(most_unsealed(options_in(directory), 3 * kSegmentBytes), 2U) << "the least";
}

/// Shows a start nothing of what lies in the directory, as one does whose blocks can't be read.
class Blind : public test::PassingFileSystem {
 public:
  Result<std::vector<std::string>> list(const std::string& path) override {
    if (!blind) return PassingFileSystem::list(path);
    return std::vector<std::string>{};
  }
  std::atomic<bool> blind{true};
};

TEST(Housekeeper, ReplacesNoSegmentThatTheStartHasNotSeen) {
  const TempDirectory directory;
  const StreamOptions options = options_in(directory);
  {
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    harness.send({"before"});
    ASSERT_TRUE(harness.wait_until_stored(1));
    harness.stop();
  }
  const std::string first = segment::segment_path(options.directory, 1);
  const auto size = std::filesystem::file_size(first);
  const auto written = std::filesystem::last_write_time(first);
  Blind files;
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  harness.send({"behind"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  files.blind = false;
  EXPECT_GT(harness.store->committed().segment(), 1U);
  harness.stop();
  EXPECT_EQ(std::filesystem::file_size(first), size);
  EXPECT_EQ(std::filesystem::last_write_time(first), written);
}

}  // namespace
}  // namespace fastlogd::append
