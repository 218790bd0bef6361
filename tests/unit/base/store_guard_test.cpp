#include "base/store_guard.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/mapping.hpp"
#include "base/unique_fd.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd {
namespace {

constexpr std::size_t kBytes = std::size_t{64} * 1024;

/// A file that is shorter than its mapping from `cut` on: stores behind it are SIGBUS.
class CutFile {
 public:
  explicit CutFile(std::size_t bytes = kBytes) {
    path_ = directory_.path() + "/file";
    fd_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(bytes)), 0);
    mapping_ = Mapping(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0), bytes);
  }
  void cut(std::size_t at) { EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(at)), 0); }
  /// Puts the file back behind addresses that got memory of their own.
  void map_again(std::size_t offset, std::size_t bytes) {
    EXPECT_NE(::mmap(mapping_.data() + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     fd_.get(), static_cast<off_t>(offset)),
              MAP_FAILED);
  }
  [[nodiscard]] std::span<std::byte> region() { return {mapping_.data(), mapping_.size()}; }
  [[nodiscard]] volatile std::byte* at(std::size_t offset) { return mapping_.data() + offset; }
  [[nodiscard]] int read(std::size_t offset) { return std::to_integer<int>(std::byte{*at(offset)}); }
  [[nodiscard]] std::size_t file_bytes() const { return std::filesystem::file_size(path_); }

 private:
  test::TempDirectory directory_;
  std::string path_;
  UniqueFd fd_;
  Mapping mapping_;
};

TEST(StoreGuard, TurnsAStoreThatFaultsIntoAMark) {
  CutFile file;
  const StoreGuard guard(file.region());
  ASSERT_TRUE(guard);
  *file.at(0) = std::byte{1};
  EXPECT_FALSE(guard.faulted());
  file.cut(8192);
  *file.at(4096) = std::byte{2};
  EXPECT_FALSE(guard.faulted()) << "that page is still there";
  *file.at(8192 + 5) = std::byte{3};
  EXPECT_TRUE(guard.faulted());
  EXPECT_EQ(file.read(8192 + 5), 3) << "the store went somewhere";
  EXPECT_EQ(file.read(8192), 0);
  *file.at(kBytes - 1) = std::byte{4};  // and so do all behind it
  EXPECT_TRUE(guard.faulted());
  EXPECT_EQ(file.file_bytes(), 8192U) << "none of it into the file";
}

TEST(StoreGuard, LetsAWholeCopyRunToItsEnd) {
  CutFile file;
  const StoreGuard guard(file.region());
  file.cut(4096);
  const std::vector<std::byte> bytes(kBytes, std::byte{7});
  std::memcpy(file.region().data(), bytes.data(), bytes.size());
  EXPECT_TRUE(guard.faulted());
  EXPECT_EQ(std::memcmp(file.region().data() + 4096, bytes.data(), kBytes - 4096), 0);
}

TEST(StoreGuard, MarksOnlyTheRegionAtFault) {
  CutFile sick;
  CutFile healthy;
  const StoreGuard first(sick.region());
  const StoreGuard second(healthy.region());
  sick.cut(0);
  std::thread([&] { *sick.at(100) = std::byte{1}; }).join();
  *healthy.at(100) = std::byte{1};
  EXPECT_TRUE(first.faulted());
  EXPECT_FALSE(second.faulted());
}

TEST(StoreGuard, MovesWithItsMarkAndFreesItsPlace) {
  CutFile file;
  StoreGuard guard;
  EXPECT_FALSE(guard);
  for (int i = 0; i < 2000; ++i) guard = StoreGuard(file.region());  // more often than the table is long
  ASSERT_TRUE(guard);
  file.cut(0);
  *file.at(0) = std::byte{1};
  const StoreGuard moved = std::move(guard);
  EXPECT_TRUE(moved.faulted());
}

// Regions in a row: a place that somebody takes for the last one just when it was that of the first one must not be
// taken for everything between.
TEST(StoreGuard, IsNotConfusedByPlacesThatChangeHands) {
  constexpr std::size_t kRegions = 3;
  CutFile file(kRegions * kBytes);
  const auto region = [&](std::size_t i) { return file.region().subspan(i * kBytes, kBytes); };
  std::optional<StoreGuard> before(std::in_place,
                                   region(0));  // a place in front of the one that is to be found
  StoreGuard guard(region(1));
  before.reset();
  file.cut(kBytes);
  std::atomic<bool> done{false};
  std::jthread other([&] {
    while (!done.load(std::memory_order_relaxed)) {
      {
        const StoreGuard first(region(0));
      }
      {
        const StoreGuard last(region(2));
      }
    }
  });
  for (int i = 0; i < 5'000; ++i) {
    *file.at(kBytes + 8) = std::byte{1};
    ASSERT_TRUE(guard.faulted()) << "after " << i;
    file.map_again(kBytes, kBytes);
    guard = {};
    guard = StoreGuard(region(1));
  }
  done = true;
}

using StoreGuardDeathTest = ::testing::Test;

TEST(StoreGuardDeathTest, ElsewhereTheProcessDiesAsEver) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  CutFile guarded;
  CutFile other;
  const auto fault_elsewhere = [&] {
    const StoreGuard guard(guarded.region());
    other.cut(0);
    *other.at(0) = std::byte{1};
  };
  EXPECT_EXIT(fault_elsewhere(), ::testing::KilledBySignal(SIGBUS), "");
  const auto fault_after_release = [&] {
    {
      const StoreGuard guard(guarded.region());
    }
    guarded.cut(0);
    *guarded.at(0) = std::byte{1};
  };
  EXPECT_EXIT(fault_after_release(), ::testing::KilledBySignal(SIGBUS), "");
}

TEST(StoreGuardDeathTest, ASignalThatSomebodySendsKills) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  CutFile file;
  const auto sent = [&] {
    const StoreGuard guard(file.region());
    ::kill(::getpid(), SIGBUS);
    ::sleep(5);
  };
  EXPECT_EXIT(sent(), ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace fastlogd
