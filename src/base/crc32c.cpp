#include "base/crc32c.hpp"

#include <array>
#include <cstring>

#include <isa-l/crc.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastlogd {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t) {
    for (std::size_t i = 0; i < 256; ++i) {
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
    }
  }
  return tables;
}

constexpr auto kTables = make_tables();

std::uint64_t load64(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Slice-by-8 over the raw (not inverted) state.
std::uint32_t extend_portable(std::uint32_t state, const std::byte* at, std::size_t n) {
  for (; n >= 8; n -= 8, at += 8) {
    const std::uint64_t word = load64(at) ^ state;
    state = 0;
    for (std::size_t i = 0; i < 8; ++i) state ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; n > 0; --n, ++at) state = (state >> 8) ^ kTables[0][(state ^ static_cast<std::uint8_t>(*at)) & 0xff];
  return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t extend_sse42(std::uint32_t state, const std::byte* at,
                                                             std::size_t n) {
  std::uint64_t wide = state;
  for (; n >= 8; n -= 8, at += 8) wide = _mm_crc32_u64(wide, load64(at));
  state = static_cast<std::uint32_t>(wide);
  for (; n > 0; --n, ++at) state = _mm_crc32_u8(state, static_cast<std::uint8_t>(*at));
  return state;
}

/// Inline because a call into libc costs as much as copying a hundred bytes. Overlapping pieces instead of a tail loop.
inline void copy_small(std::byte* to, const std::byte* from, std::size_t n) {
  if (n >= 32) {
    std::size_t i = 0;
    for (; i + 32 <= n; i += 32) std::memcpy(to + i, from + i, 32);
    std::memcpy(to + n - 32, from + n - 32, 32);
  } else if (n >= 16) {
    std::memcpy(to, from, 16);
    std::memcpy(to + n - 16, from + n - 16, 16);
  } else if (n >= 8) {
    std::memcpy(to, from, 8);
    std::memcpy(to + n - 8, from + n - 8, 8);
  } else {
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
  }
}

__attribute__((target("sse4.2"))) std::uint32_t copy_extend_sse42(std::uint32_t state,
                                                                  const std::array<std::uint64_t, 5>& head,
                                                                  std::byte* to, const std::byte* from,
                                                                  std::size_t n) {
  copy_small(to, from, n);
  std::uint64_t wide = state;
  for (const std::uint64_t word : head) wide = _mm_crc32_u64(wide, word);
  for (std::size_t i = 0; i < n; i += 8) wide = _mm_crc32_u64(wide, load64(to + i));
  return static_cast<std::uint32_t>(wide);
}

const bool kHasInstruction = __builtin_cpu_supports("sse4.2") != 0;
#endif

// From here isa-l's folding (55 GB/s) beats the instruction's latency chain (9 GB/s).
constexpr std::size_t kBlockBytes = 512;

std::uint32_t extend(std::uint32_t state, const std::byte* at, std::size_t n) {
  if (n >= kBlockBytes) {
    // isa-l wants a non-const pointer and an int length, and works on the raw state like we do.
    while (n > 0) {
      const std::size_t part = n < (std::size_t{1} << 30) ? n : (std::size_t{1} << 30);
      state = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<std::byte*>(at)),
                          static_cast<int>(part), state);
      at += part;
      n -= part;
    }
    return state;
  }
#if defined(__x86_64__)
  if (kHasInstruction) return extend_sse42(state, at, n);
#endif
  return extend_portable(state, at, n);
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) {
  return ~extend(~crc, bytes.data(), bytes.size());
}

std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes) {
  return ~extend_portable(~crc, bytes.data(), bytes.size());
}

std::uint32_t copy_crc32c(std::uint32_t crc, const std::array<std::uint64_t, 5>& head, std::byte* to,
                          std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  if (kHasInstruction && bytes.size() < kBlockBytes) {
    return ~copy_extend_sse42(~crc, head, to, bytes.data(), bytes.size());
  }
#endif
  std::memcpy(to, bytes.data(), bytes.size());
  crc = crc32c(crc, std::as_bytes(std::span(head)));
  return crc32c(crc, {to, (bytes.size() + 7) & ~std::size_t{7}});
}

}  // namespace fastlogd
