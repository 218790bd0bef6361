// What a store says of itself while something is not as usual.
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "segment/segment_file.hpp"
#include "support/passing_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::StoreHarness;
using test::TempDirectory;

bool eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 20000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

StreamOptions options_in(const TempDirectory& directory) {
  StreamOptions options;
  options.name = "n";
  options.name += std::to_string(::getpid());
  options.directory = directory.path();
  options.segment_bytes = limits::kMiB;
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

/// Syncs of the log's segments don't return until they are let go.
class HangingDisk : public test::PassingFileSystem {
 public:
  std::latch go{1};

  Result<> sync_data(int fd) override {
    std::error_code error;
    const auto name = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).native();
    if (name.ends_with(".flog")) go.wait();
    return test::PassingFileSystem::sync_data(fd);
  }
};

TEST(StoreCounters, SaySinceWhenASyncHasBeenUnderWay) {
  const TempDirectory directory;
  HangingDisk disk;
  StoreHarness harness(options_in(directory), disk);
  const std::atomic<std::int64_t>& began = harness.store->counters().sync_began_ns;
  harness.define_source(0, {.identifier = "x"});
  harness.send({"one"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  EXPECT_FALSE(harness.store->sync(std::chrono::milliseconds(50)));
  EXPECT_TRUE(eventually([&] { return began.load() != 0; }));
  EXPECT_LE(began.load(), monotonic_ns());
  disk.go.count_down();
  EXPECT_TRUE(harness.store->sync(std::chrono::seconds(20)));
  EXPECT_TRUE(eventually([&] { return began.load() == 0; }));
}

TEST(StoreCounters, CountWhatStartsHaveSetAside) {
  const TempDirectory directory;
  for (const char* suffix : {".damaged", ".damaged-1", ".torn-2", ".torn-2-1", ".copy", ".tmp"}) {
    std::ofstream(segment::segment_path(directory.path(), 1) + suffix) << std::string(5000, 'x');
  }
  std::ofstream(directory.path() + "/notes.damaged") << "x";
  StoreHarness harness(options_in(directory));
  const AppendCounters& counters = harness.store->counters();
  EXPECT_TRUE(eventually([&] { return counters.set_aside_files.load() == 4; }));
  EXPECT_TRUE(eventually([&] { return counters.set_aside_bytes.load() >= 4 * 5000; }));
  EXPECT_LT(counters.set_aside_bytes.load(), 64U * 5000);
}

// Asked again and again the answer stays the kernel's, also in the next segment.
TEST(StoreCounters, TheModeInForceIsOfTheActiveSegment) {
  for (const WriteBy write : {WriteBy::mapping, WriteBy::small_pages, WriteBy::pwrite}) {
    const TempDirectory directory;
    StreamOptions options = options_in(directory);
    options.write = write;
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    for (std::uint64_t stored = 1; stored <= 3; ++stored) {
      harness.send({"a record"});
      ASSERT_TRUE(harness.wait_until_stored(stored));
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(harness.store->status().write, write == WriteBy::pwrite ? "pwrite" : "mapping");
        EXPECT_FALSE(harness.store->status().map_sync);
        if (write != WriteBy::mapping) {
          EXPECT_FALSE(harness.store->status().huge_pages);
        }
      }
      harness.store->rotate();
    }
  }
}

}  // namespace
}  // namespace fastlogd::append
