#include "segment/verify.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "support/log_builder.hpp"
#include "support/passing_file_system.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::TempDirectory;

VerifyReport verify(const std::string& directory) {
  auto report = verify_directory(directory, {});
  EXPECT_TRUE(report.has_value());
  return std::move(*report);
}

/// Flips one bit in the mapped file, verifies, flips it back.
void expect_flip_is_found(const TempDirectory& directory, std::span<std::byte> file, std::uint64_t at,
                          unsigned bit) {
  const std::byte mask{static_cast<std::uint8_t>(1U << bit)};
  file[at] ^= mask;
  EXPECT_TRUE(verify(directory.path()).damaged()) << "byte " << at << " bit " << bit << " went unnoticed";
  file[at] ^= mask;
}

class EveryBit : public ::testing::Test {
 protected:
  /// A sealed segment of two blocks: every frame type, PAD, a rest too short for one, and punched space.
  void SetUp() override {
    log_.begin();
    log_.add_records(100);
    ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::client, .count = 2}));
    ASSERT_TRUE(log_.add(std::string(limits::kRecordBytesMax, 'a')));
    const std::uint64_t room = kBlockBytes - log_.writer.offset() - kFrameHeaderBytes - 16;
    ASSERT_TRUE(log_.add(std::string(room, 'b')));
    log_.add_records(20);
  }
  void flip_everywhere(std::uint64_t end_of_frames) {
    ASSERT_FALSE(verify(directory_.path()).damaged());
    const UniqueFd fd(::open(log_.current_path().c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::fchmod(fd.get(), 0640), 0);
    const UniqueFd writable(::open(log_.current_path().c_str(), O_RDWR | O_CLOEXEC));
    auto map =
        posix_file_system().map(writable.get(), 0, 2 * limits::kMiB, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_TRUE(map.has_value());
    const std::span file(map->data(), map->size());
    unsigned bit = 0;
    const auto sweep = [&](std::uint64_t from, std::uint64_t to, std::uint64_t step) {
      for (std::uint64_t at = from; at < to; at += step)
        expect_flip_is_found(directory_, file, at, bit++ % 8);
    };
    sweep(0, kHeaderBytes, 61);
    sweep(kHeaderBytes, 8192, 11);  // small frames: the two large records follow, sampled
    sweep(8192, kBlockBytes - 64, 65537);
    sweep(kBlockBytes - 64, kBlockBytes, 1);  // the end of a record and the rest that is skipped
    sweep(kBlockBytes, end_of_frames, 7);
    sweep(end_of_frames, frames_end(2 * limits::kMiB), 65521);
    sweep(frames_end(2 * limits::kMiB), 2 * limits::kMiB, 61);
    for (unsigned i = 0; i < 64; ++i) {  // every bit of two commit words
      expect_flip_is_found(directory_, file, kHeaderBytes + i / 8, i % 8);
      expect_flip_is_found(directory_, file, kBlockBytes + i / 8, i % 8);
    }
  }

  TempDirectory directory_;
  LogBuilder log_{directory_.path(), 2 * limits::kMiB};
};

TEST_F(EveryBit, P03_OfASealedSegmentIsWatched) {
  log_.seal();
  flip_everywhere(log_.writer.offset());
}

TEST_F(EveryBit, P03_OfAnUnsealedSegmentIsWatched) {
  flip_everywhere(log_.writer.offset());
}

/// The sweeps above find this one out: a flip where it does not look goes unnoticed.
TEST_F(EveryBit, P03_OfAVerifyThatReadsNoUnusedSpaceIsCaught) {
  class Skips : public test::PassingFileSystem {
   public:
    explicit Skips(std::uint64_t from) : from_(from) {}

   private:
    Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
      auto got = test::PassingFileSystem::read_at(fd, into, offset);
      const std::uint64_t trailer = frames_end(2 * limits::kMiB);
      for (std::uint64_t at = std::max(offset, from_); got && at < std::min(trailer, offset + *got); ++at) {
        into[at - offset] = std::byte{0};
      }
      return got;
    }
    std::uint64_t from_;
  };
  log_.seal();
  Skips files(log_.writer.offset());
  test::flip_bit(log_.current_path(), log_.writer.offset() + 8192, 3);
  EXPECT_TRUE(verify(directory_.path()).damaged());
  EXPECT_FALSE(verify_directory(directory_.path(), {}, files)->damaged());
}

TEST(Verify, AcceptsAJumpOnlyWhereAGapNamesIt) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  log.next_sequence += 10;  // 6 to 15 are missing
  log.add_records(5);
  EXPECT_TRUE(verify(directory.path()).has_unaccounted_gap());
  const auto gap = [](std::uint64_t first, std::uint64_t last) {
    return Gap{.reason = ingress::LossReason::damaged,
               .count = last - first + 1,
               .first = Sequence{first},
               .last = Sequence{last}};
  };
  ASSERT_TRUE(log.writer.append_gap(gap(6, 9)));
  EXPECT_TRUE(verify(directory.path()).has_unaccounted_gap());
  ASSERT_TRUE(log.writer.append_gap(gap(10, 15)));
  const auto report = verify(directory.path());
  EXPECT_FALSE(report.has_unaccounted_gap());
  EXPECT_FALSE(report.damaged());
  EXPECT_EQ(report.reported_lost, 10U);
  EXPECT_EQ(report.records, 10U);
}

TEST(Verify, FindsNothingInWhatAKilledDaemonHadPreparedAhead) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(50);
  log.seal_frame();
  log.begin();
  log.add_records(5);
  log.prepare();
  log.prepare();
  const auto report = verify(directory.path());
  EXPECT_EQ(report.records, 55U);
  for (const auto& finding : report.findings)
    ADD_FAILURE() << finding.file << ":" << finding.offset << " " << finding.text;
}

TEST(Verify, NamesTheFileAndThePlaceOfDamage) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t at = log.writer.offset();
  log.add_records(5);
  log.seal();
  test::flip_bit(log.path(1), at + 33, 3);
  const auto report = verify(directory.path());
  ASSERT_TRUE(report.damaged());
  EXPECT_EQ(report.findings[0].file, "00000000000000000001.flog");
  EXPECT_EQ(report.findings[0].offset, at);
}

TEST(Verify, FindsNothingInALogThatRollsMeanwhile) {
  const TempDirectory directory;
  test::LiveLog log(directory.path());
  log.begin();
  log.publish();
  std::atomic<bool> done{false};
  std::jthread writer([&] {
    const std::string text(20'000, '.');
    for (int rolls = 0; rolls < 60; ++rolls) {
      while (log.add(text)) log.publish();
      log.seal_frame();
      log.begin();
      log.add_records(1);
      log.publish();
    }
    done = true;
  });
  for (int rounds = 0; !done; ++rounds) {
    const VerifyReport report = verify(directory.path());
    for (const Finding& finding : report.findings) {
      ADD_FAILURE() << "round " << rounds << ", " << finding.file << ":" << finding.offset << ": "
                    << finding.text;
    }
    if (!report.findings.empty()) break;
  }
}

TEST(Verify, TellsHowFarItIs) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), 4 * limits::kMiB);
  log.begin();
  log.fill(1000);
  log.seal();
  std::uint64_t last = 0;
  std::uint64_t all = 0;
  const auto report = verify_directory(directory.path(), [&](std::uint64_t done, std::uint64_t of) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, of);
    last = done;
    all = of;
  });
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(last, all);
}

TEST(Verify, ChecksARunningLogUpToItsCommittedPosition) {
  const TempDirectory directory;
  test::LiveLog log(directory.path());
  log.begin();
  log.add_records(10);
  log.publish();
  log.add_records(10);  // stored, not yet published
  const auto report = verify(directory.path());
  EXPECT_FALSE(report.damaged());
  EXPECT_EQ(report.records, 10U);
}

}  // namespace
}  // namespace fastlogd::segment
