// A store loses power behind every single operation it makes: of a start, an append, a roll, a seal, a retention.
//
// The store is the real one, with its threads, on a VolatileFileSystem. The test drives it in steps and lets it finish
// each, so a seed says what is written, when it is acknowledged, and what a crash leaves; which of two threads comes
// first it does not. Behind every operation the world stands still, an image of what a power loss would leave is built
// and judged. Then one of them becomes the world, a start recovers it, losing power behind each of its operations too,
// and so on.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "segment/control_file.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/unsealed_scan.hpp"
#include "support/faulty_file_system.hpp"
#include "support/power_loss_oracle.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"
#include "support/volatile_file_system.hpp"

namespace fastlogd::append {
namespace {

using test::PowerLossOracle;
using test::VolatileFileSystem;
using test::Wrong;

constexpr const char* kWorldsVariable = "FASTLOGD_POWER_LOSS_WORLDS";
constexpr std::uint64_t kWorlds = 6;          // unless that says otherwise
constexpr std::chrono::seconds kTimeMax{40};  // likewise: under a sanitizer it may be fewer
constexpr int kLives = 3;
constexpr int kStepsMax = 16;
constexpr int kImages = 2;  // that may be left behind one operation

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

std::uint64_t worlds() {
  return from_environment(kWorldsVariable, kWorlds);
}

std::uint64_t first_seed() {
  static const std::uint64_t seed = from_environment("FASTLOGD_TEST_SEED", std::random_device()());
  return seed;
}

Result<segment::RecoveryReport> recover(const std::string& directory) {
  const auto lock = segment::DirectoryLock::acquire(posix_file_system(), directory);
  if (!lock) return lock.error();
  return segment::recover(posix_file_system(), directory, lock->log_uuid());
}

/// How a world deviates from a right store on a working disk.
struct Habits {
  Wrong wrong = Wrong::nothing;
  bool acknowledges_before_sync = false;
  bool disk_fills = false;
  bool syncs_fail = false;
  bool syncs_end = false;  ///< of segments; others can still be prepared
  PowerLossOracle::Recover recover = append::recover;
};

/// One directory from its first record through several lives, and how it would look after a power loss at any moment.
class World {
 public:
  World(std::uint64_t seed, Habits habits)
      : habits_(std::move(habits)),
        random_(seed),
        segment_bytes_(random_() % 3 == 0 ? 2 * limits::kMiB : limits::kMiB),
        oracle_(segment_bytes_) {}

  /// What went wrong first; empty: nothing.
  std::string run() {
    std::string directory = folder_.path() + "/log";
    for (int life = 0; life < kLives && wrong_.empty(); ++life) {
      std::string next = live(directory, life);
      std::filesystem::remove_all(directory);
      directory = std::move(next);
    }
    return wrong_;
  }
  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }
  [[nodiscard]] const std::set<std::string>& operations() const { return operations_; }

 private:
  /// Returns the directory that a power loss at its end left.
  std::string live(const std::string& directory, int life) {
    test::FaultyFileSystem disk;
    VolatileFileSystem files(directory, random_(), habits_.wrong, disk);
    files.before_unlink([this](const std::string& path) { note_removal(path); });
    files.at_every_operation([&](const std::string& operation) { crash(files, operation); });
    run_store(directory, files, disk, life);
    files.at_every_operation({});
    return left_;
  }

  void run_store(const std::string& directory, VolatileFileSystem& files, test::FaultyFileSystem& disk,
                 int life) {
    auto opened = StreamStore::open(std::make_shared<const StreamOptions>(options(directory)),
                                    {.files = files, .runtime_directory = folder_.path()});
    if (!opened) return fail("start: " + opened.error().message());
    test::StoreHarness harness(std::move(*opened));
    oracle_.started(harness.store->recovery(), directory);
    harness.define_source(0, {.identifier = "x"});
    syncs_ended_ = false;
    const int steps = 2 + static_cast<int>(random_() % kStepsMax) + (habits_.syncs_end ? kStepsMax : 0);
    for (int i = 0; i < steps && wrong_.empty(); ++i) {
      step(harness, life);
      if (habits_.syncs_fail && i == 1) disk.fail(test::Op::sync, EIO, 1 + random_() % 4, 1);
      if (habits_.syncs_end && i == 1) end_syncs(disk);
      if (habits_.disk_fills && i == 1) disk.fail(test::Op::allocate, ENOSPC, 1, 1 + random_() % 2);
      files.stand_still("append");
    }
    left_ = fmt::format("{}/life-{}", folder_.path(), life + 1);
    files.at_every_operation([&, done = false](const std::string& operation) mutable {
      if (std::exchange(done, true)) return;
      std::mt19937_64 random(random_());
      std::mt19937_64 the_same = random;
      files.crash_image(left_, random);
      judge(files, operation, the_same);
    });
    files.stand_still("the power loss that is lived through");
    harness.stop();  // in a world that is no longer looked at
  }

  void end_syncs(test::FaultyFileSystem& disk) {
    disk.spare_temporaries = true;
    disk.fail(test::Op::sync, EIO);
    syncs_ended_ = true;
  }

  void step(test::StoreHarness& harness, int life) {
    switch (random_() % 4) {
      case 0:
        harness.store->rotate();
        break;
      case 1:
        if (syncs_ended_) {
          harness.store->rotate();
        } else {
          acknowledge(harness);
        }
        break;
      default:
        send(harness, life);
    }
  }

  void send(test::StoreHarness& harness, int life) {
    std::vector<std::string> messages;
    const std::size_t count = 1 + random_() % 6;
    const std::size_t bytes_max = random_() % 5 == 0 ? 200'000 : 3'000;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t sequence = oracle_.next_sequence();
      messages.push_back(
          fmt::format("{} of life {} {}", sequence, life, std::string(random_() % bytes_max, 'f')));
      oracle_.will_write(sequence, messages.back());
      harness.send({messages.back()});
    }
    stored_ = oracle_.next_sequence() - 1;
    if (!harness.wait_until_stored(stored_ + 1 - harness.store->recovery().next_sequence))
      fail("nothing is stored");
    if (habits_.acknowledges_before_sync) oracle_.acknowledged(stored_);
  }

  void acknowledge(test::StoreHarness& harness) {
    if (habits_.acknowledges_before_sync) return;
    const std::uint64_t all = oracle_.next_sequence() - 1;
    if (const auto synced = harness.store->sync(std::chrono::seconds(60)); !synced) {
      if (!habits_.syncs_fail) fail("sync: " + synced.error().message());
      oracle_.refused(all);
      return;
    }
    oracle_.acknowledged(all);
  }

  void note_removal(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const auto index = segment::parse_segment_name(name);
    if (!index) return;
    auto cursor = segment::SegmentCursor::open(posix_file_system(), path.substr(0, path.rfind('/')), *index,
                                               segment::Access::pread);
    if (!cursor) return;
    // One whose sync has failed has no trailer.
    oracle_.removed_up_to(cursor->trailer()
                              ? cursor->trailer()->last_sequence
                              : segment::scan_unsealed(posix_file_system(), *cursor).last_sequence);
  }

  /// With the file system standing still, whichever thread this is.
  void crash(const VolatileFileSystem& files, const std::string& operation) {
    operations_.insert(operation.substr(0, operation.find(' ')));
    for (int i = 0; i < kImages && wrong_.empty(); ++i) {
      std::mt19937_64 random(image_seed_++);
      judge(files, operation, random);
    }
  }

  void judge(const VolatileFileSystem& files, const std::string& operation, std::mt19937_64& random) {
    const std::string image = folder_.path() + "/image";
    files.crash_image(image, random);
    ++crashes_;
    if (const std::string wrong = oracle_.judge(image, habits_.recover); !wrong.empty()) {
      fail(fmt::format("power lost behind {} (crash {}): {}", operation, crashes_, wrong));
    }
    std::filesystem::remove_all(image);
  }

  void fail(const std::string& what) {
    const std::lock_guard lock(wrong_mutex_);
    if (wrong_.empty()) wrong_ = what;
  }

  [[nodiscard]] StreamOptions options(const std::string& directory) const {
    return {.name = "s",
            .directory = directory,
            .segment_bytes = segment_bytes_,
            .durability = {.mode = DurabilityMode::none},
            .retention = {.bytes_max = 5 * segment_bytes_, .keep_free = 0}};
  }

  test::TempDirectory folder_{"/dev/shm"};
  const Habits habits_;
  std::mt19937_64 random_;
  const std::uint64_t segment_bytes_;
  PowerLossOracle oracle_;
  std::string left_;
  std::uint64_t stored_ = 0;
  bool syncs_ended_ = false;
  std::uint64_t image_seed_ = random_();
  std::uint64_t crashes_ = 0;
  std::set<std::string> operations_;  ///< kinds of them that power was lost behind
  std::mutex wrong_mutex_;
  std::string wrong_;
};

/// Worlds of one kind, one after the other; the first thing that is wrong in one, with its seed.
std::string run_worlds(const Habits& habits, std::uint64_t worlds,
                       std::set<std::string>* operations = nullptr,
                       std::chrono::steady_clock::duration time_max = kTimeMax) {
  std::uint64_t crashes = 0;
  std::uint64_t i = 0;
  const auto end = std::chrono::steady_clock::now() + time_max;
  for (; i < worlds && (std::getenv(kWorldsVariable) != nullptr || std::chrono::steady_clock::now() < end);
       ++i) {
    World world(first_seed() + i, habits);
    const std::string wrong = world.run();
    crashes += world.crashes();
    if (operations != nullptr) operations->insert(world.operations().begin(), world.operations().end());
    if (!wrong.empty())
      return fmt::format("FASTLOGD_TEST_SEED={} FASTLOGD_POWER_LOSS_WORLDS=1: {}", first_seed() + i, wrong);
  }
  std::cout << fmt::format("{} worlds from FASTLOGD_TEST_SEED={}, {} power losses\n", i, first_seed(),
                           crashes);
  return {};
}

/// However long a slow machine takes for it.
bool is_caught(const Habits& habits) {
  const std::string wrong = run_worlds(habits, 40, nullptr, std::chrono::hours(1));
  std::cout << (wrong.empty() ? "nothing noticed" : wrong) << "\n";
  return !wrong.empty();
}

TEST(PowerLoss, P01_P02_P04_P11_BehindEveryOperationLosesNothingAcknowledgedAndNamesTheRest) {
  std::set<std::string> operations;
  ASSERT_EQ(run_worlds({}, worlds(), &operations), "");
  const std::set<std::string> all{"append",   "allocate", "create", "punch", "rename",
                                  "set_mode", "sync",     "unlink", "write"};
  EXPECT_TRUE(std::includes(all.begin(), all.end(), operations.begin(), operations.end()));
  EXPECT_GE(operations.size(), 7U) << "power was to be lost behind all kinds of them";
}

TEST(PowerLoss, P09_OnADiskThatFillsLosesNothingAcknowledgedEither) {
  EXPECT_EQ(run_worlds({.disk_fills = true}, worlds() / 3 + 1), "");
}

TEST(PowerLoss, P07_NothingIsAcknowledgedInASegmentWhoseSyncHasFailed) {
  EXPECT_EQ(run_worlds({.syncs_fail = true}, worlds() / 3 + 1), "");
}

// Nothing gets durable any more, while segments fill, fail to be sealed, and retention looks for something to remove.
TEST(PowerLoss, P02_NumbersGoOnBehindWhatIsAcknowledgedThoughNoSyncSucceedsAnyMore) {
  EXPECT_EQ(run_worlds({.syncs_end = true}, worlds() / 3 + 1), "");
}

TEST(PowerLoss, P07_OfAStoreThatRepeatsAFailedSyncIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::failed_syncs_are_repeated, .syncs_fail = true}));
}

TEST(PowerLoss, P09_OfAStoreThatIgnoresAFullDiskIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::full_disks_are_ignored, .disk_fills = true}));
}

TEST(PowerLoss, P02_OfAStoreThatAcknowledgesBeforeTheSyncIsCaught) {
  EXPECT_TRUE(is_caught({.acknowledges_before_sync = true}));
}

TEST(PowerLoss, P02_OfAStoreThatSyncsOnlyTheNewSegmentAcrossARollIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::old_segments_are_not_synced}));
}

TEST(PowerLoss, P01_OfAStoreThatRenamesWithoutSyncingTheFileIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::temporaries_are_not_synced}));
}

TEST(PowerLoss, P02_OfAStoreThatRenamesWithoutSyncingTheDirectoryIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::directories_are_not_synced}));
}

TEST(PowerLoss, P01_OfAStoreThatWritesTheTrailerBeforeTheDataIsOnDiskIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::trailers_before_data}));
}

TEST(PowerLoss, P11_OfAStartThatLeavesATornTailInPlaceIsCaught) {
  EXPECT_TRUE(is_caught({.wrong = Wrong::zeros_are_not_written}));
}

TEST(PowerLoss, P04_OfAStartThatTidiesUpWhatItHasJustRecoveredIsCaught) {
  const auto tidies = [](const std::string& directory) -> Result<segment::RecoveryReport> {
    auto report = recover(directory);
    if (report && report->segments.size() > 1) {
      std::filesystem::remove(segment::segment_path(directory, report->segments.back().index));
    }
    return report;
  };
  EXPECT_TRUE(is_caught({.recover = tidies}));
}

}  // namespace
}  // namespace fastlogd::append
