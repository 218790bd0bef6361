#include "base/crc32c.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

using Bytes = std::vector<std::byte>;

/// Bit by bit, as RFC 3720 section 12.1 words it: nothing shared with the code under test.
std::uint32_t by_definition(std::span<const std::byte> bytes) {
  std::uint32_t state = 0xffffffff;
  for (const std::byte byte : bytes) {
    state ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~state;
}

Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random() & 0xff); });
  return bytes;
}

void expect_all(std::uint32_t expected, const Bytes& bytes) {
  EXPECT_EQ(crc32c(0, bytes), expected);
  EXPECT_EQ(crc32c_portable(0, bytes), expected);
}

// RFC 3720 appendix B.4; the RFC prints the bytes in the order they travel, least significant first.
TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  expect_all(0x8a9136aa, Bytes(32, std::byte{0x00}));
  expect_all(0x62a8ab43, Bytes(32, std::byte{0xff}));
  Bytes rising(32);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<std::byte>(i);
  expect_all(0x46dd794e, rising);
  Bytes falling(rising.rbegin(), rising.rend());
  expect_all(0x113fdb5c, falling);
  Bytes read_command(48, std::byte{0});
  read_command[0] = std::byte{0x01};
  read_command[1] = std::byte{0xc0};
  read_command[16] = std::byte{0x14};
  read_command[22] = std::byte{0x04};
  read_command[27] = std::byte{0x14};
  read_command[31] = std::byte{0x18};
  read_command[32] = std::byte{0x28};
  read_command[40] = std::byte{0x02};
  expect_all(0xd9963a56, read_command);
}

TEST(Crc32c, MatchesTheUsualCheckValue) {
  constexpr std::string_view kDigits = "123456789";
  const auto bytes = std::as_bytes(std::span(kDigits));
  expect_all(0xe3069283, Bytes(bytes.begin(), bytes.end()));
  expect_all(0, {});
}

TEST(Crc32c, AgreesWithItsDefinitionAtEverySizeAndAlignment) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Bytes bytes = random_bytes(random, 2048 + 16);
  for (std::size_t size = 0; size < 2048; size += size < 640 ? 1 : 41) {
    for (std::size_t offset = 0; offset < 9; offset += 1 + size % 3) {
      const Bytes part(bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                       bytes.begin() + static_cast<std::ptrdiff_t>(offset + size));
      const auto view = std::span(bytes).subspan(offset, size);
      const std::uint32_t expected = by_definition(part);
      EXPECT_EQ(crc32c(0, view), expected) << size << " at " << offset;
      EXPECT_EQ(crc32c_portable(0, view), expected) << size << " at " << offset;
    }
  }
}

TEST(Crc32c, ExtendsAFinishedChecksumOverAnyCut) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    const Bytes bytes = random_bytes(random, random() % 5000);
    const std::uint32_t whole = crc32c_portable(0, bytes);
    const std::size_t cut = bytes.empty() ? 0 : random() % bytes.size();
    const auto first = std::span(bytes).first(cut);
    const auto second = std::span(bytes).subspan(cut);
    EXPECT_EQ(crc32c(crc32c(0, first), second), whole);
    EXPECT_EQ(crc32c_portable(crc32c(0, first), second), whole);
  }
}

TEST(Crc32c, CopyTouchesNothingBeyondItsBytes) {
  for (const std::size_t size : {0UL, 1UL, 7UL, 8UL, 13UL, 31UL, 33UL, 511UL, 512UL, 700UL}) {
    const Bytes from(size, std::byte{0x11});
    Bytes to(size + 16, std::byte{0xee});
    (void)copy_crc32c(0, {}, to.data() + 8, from);
    EXPECT_EQ(std::ranges::count(to, std::byte{0xee}), 16) << size;
  }
}

TEST(Crc32c, CopySumsHeadBytesAndPaddingAsOnePiece) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::size_t size = 0; size < 700; ++size) {
    const Bytes from = random_bytes(random, size);
    const std::array<std::uint64_t, 5> head{random(), random(), random(), random(), random()};
    const std::size_t padded = (size + 7) / 8 * 8;
    Bytes to(padded);
    const std::uint32_t crc = copy_crc32c(7, head, to.data(), from);
    EXPECT_EQ(crc, crc32c_portable(crc32c_portable(7, std::as_bytes(std::span(head))), to)) << size;
    EXPECT_EQ(crc32c(7, head, to), crc) << size;
    to.resize(size);
    EXPECT_EQ(to, from);
  }
}

#if defined(__x86_64__)
/// Bit 2: the upper halves of the vector registers are in use (Intel's manual, volume 1, 13.6).
std::uint32_t state_in_use() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return low;
}

bool tells_state_in_use() {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
  std::uint32_t d = 0;
  return __builtin_cpu_supports("avx") != 0 && __get_cpuid_count(0xd, 1, &a, &b, &c, &d) != 0 && (a & 4) != 0;
}

TEST(Crc32c, LeavesNoUpperHalvesInUse) {
  if (!tells_state_in_use()) GTEST_SKIP() << "this processor doesn't tell";
  std::mt19937_64 random(1);
  for (const std::size_t bytes : {64U, 511U, 512U, 4092U, 100000U}) {
    static_cast<void>(crc32c(0, random_bytes(random, bytes)));
    EXPECT_EQ(state_in_use() & 4, 0U) << "behind " << bytes << " bytes every record would pay for it";
  }
}
#endif

}  // namespace
}  // namespace fastlogd
