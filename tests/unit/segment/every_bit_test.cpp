// P3: not one bit of a segment can flip without verify noticing. All of the bits of everything that holds something,
// and samples of the space that must be zero.
#include <sys/mman.h>

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::TempDirectory;

/// A segment of 1 MiB with every type of frame but CHECKPOINT and PAD, which take a second block: verify_test.cpp.
class EveryBitOfASmallSegment : public ::testing::Test {
 protected:
  void SetUp() override {
    log_.begin();
    log_.add_records(3);
    ASSERT_TRUE(log_.writer.append_gap({.reason = ingress::LossReason::client, .count = 2}));
    const std::string procid = "123";
    const NewRecord record{
        .sequence = Sequence{log_.next_sequence},
        .receive_time_ns = test::kFirstTime + 4,
        .source = log_.source,
        .priority = Priority{165},
        .flags = RecordFlags{RecordFlags::kTruncated},
        .extension = {.message_start = 2, .sender_time_ns = 7, .procid = procid, .msgid = "ID"},
        .slice = "- with an extension"};
    ASSERT_TRUE(log_.writer.append(record));
    ++log_.next_sequence;
    log_.add_records(2, "odd");
  }

  /// Everything from `from` on that holds something, and the trailer page with it if that is the start.
  void flip_all(std::uint64_t from) {
    ASSERT_FALSE(damaged());
    const UniqueFd readable(::open(log_.path(1).c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::fchmod(readable.get(), 0640), 0);
    const UniqueFd fd(::open(log_.path(1).c_str(), O_RDWR | O_CLOEXEC));
    file_ = posix_file_system().map(fd.get(), 0, limits::kMiB, PROT_READ | PROT_WRITE, MAP_SHARED).value();
    sweep(from, log_.writer.offset());
    if (from == 0) sweep(frames_end(limits::kMiB), limits::kMiB);
    const char* given = std::getenv("FASTLOGD_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    std::mt19937_64 random(seed);
    const std::uint64_t used = log_.writer.offset();
    for (int n = 0; n < 500; ++n) {
      flip(used + random() % (limits::kMiB - used), random() % 8);
      flip(used + random() % limits::kPageBytes,
           random() % 8);  // the rest of the last page, which is no hole
      flip(limits::kMiB - 1 - random() % kTrailerBytes, random() % 8);
    }
    EXPECT_FALSE(HasFailure()) << "FASTLOGD_TEST_SEED=" << seed;
    EXPECT_FALSE(damaged()) << "every bit was put back";
  }

  TempDirectory directory_;
  LogBuilder log_{directory_.path()};

 private:
  [[nodiscard]] bool damaged() const { return verify_directory(directory_.path(), {})->damaged(); }

  void sweep(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t at = from; at < to; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) flip(at, bit);
    }
  }
  void flip(std::uint64_t at, std::uint64_t bit) {
    const std::byte mask{static_cast<std::uint8_t>(1U << bit)};
    file_.data()[at] ^= mask;
    if (!damaged()) ADD_FAILURE() << "byte " << at << " bit " << bit << " went unnoticed";
    file_.data()[at] ^= mask;
  }

  Mapping file_;
};

TEST_F(EveryBitOfASmallSegment, SealedIsWatched) {
  log_.seal();
  flip_all(0);
}

TEST_F(EveryBitOfASmallSegment, UnsealedIsWatched) {
  flip_all(kHeaderBytes);
}

}  // namespace
}  // namespace fastlogd::segment
