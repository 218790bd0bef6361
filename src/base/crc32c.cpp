#include "base/crc32c.hpp"

#include <array>
#include <cstring>
#include <tuple>

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

#if defined(__x86_64__)
constexpr std::size_t kLaneWordsMin = 6;   // shorter lanes don't pay for putting them together
constexpr std::size_t kLaneWordsMax = 72;  // in all three lanes; longer pieces are isa-l's

/// x^n modulo the polynomial, reflected.
constexpr std::uint32_t power_of_x(std::size_t n) {
  std::uint32_t power = 0x80000000;
  for (; n > 0; --n) power = (power >> 1) ^ ((power & 1) != 0 ? kPolynomial : 0);
  return power;
}

/// [w]: what moves a state over w words. A carry-less product of reflected numbers comes out one bit low, and the
/// instruction that reduces it multiplies by x^32: hence the 33.
constexpr std::array<std::uint32_t, kLaneWordsMax> make_shifts() {
  std::array<std::uint32_t, kLaneWordsMax> shifts{};
  shifts[1] = power_of_x(64 - 33);
  for (std::size_t w = 2; w < shifts.size(); ++w) {
    std::uint32_t power = shifts[w - 1];
    for (int bit = 0; bit < 64; ++bit) power = (power >> 1) ^ ((power & 1) != 0 ? kPolynomial : 0);
    shifts[w] = power;
  }
  return shifts;
}

constexpr auto kShifts = make_shifts();

/// The state `lane` moved over `words` words, but for the reduction that the next word brings along.
__attribute__((target("sse4.2,pclmul"))) inline std::uint64_t moved(std::uint64_t lane, std::size_t words) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<std::int64_t>(lane)),
                                               _mm_cvtsi32_si128(static_cast<int>(kShifts[words])), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

/// The sum of `head` (kHeadWords of them) and the `words` words at `at`, in three lanes: the instruction takes one word
/// per cycle, but gives its result after three.
///
///     | head, first | second | third, last word |
///       lane 0        lane 1   lane 2             lanes 0 and 1 are moved behind the last word and go in with it
template <std::size_t kHeadWords>
__attribute__((target("sse4.2,pclmul"))) inline std::uint64_t sum_words(std::uint64_t state,
                                                                        const std::uint64_t* head,
                                                                        const std::byte* at,
                                                                        std::size_t words) {
  const std::size_t all = kHeadWords + words;
  if (all < 3 * kLaneWordsMin || all >= kLaneWordsMax) {
    for (std::size_t i = 0; i < kHeadWords; ++i) state = _mm_crc32_u64(state, head[i]);
    for (std::size_t i = 0; i < words; ++i) state = _mm_crc32_u64(state, load64(at + 8 * i));
    return state;
  }
  const std::size_t lane = all / 3;
  const std::byte* second = at + 8 * (lane - kHeadWords);
  const std::byte* third = second + 8 * lane;
  std::uint64_t state1 = 0;
  std::uint64_t state2 = 0;
  for (std::size_t i = 0; i < kHeadWords; ++i, second += 8, third += 8) {
    state = _mm_crc32_u64(state, head[i]);
    state1 = _mm_crc32_u64(state1, load64(second));
    state2 = _mm_crc32_u64(state2, load64(third));
  }
  for (std::size_t left = lane - kHeadWords - 1; left > 0; --left, at += 8, second += 8, third += 8) {
    state = _mm_crc32_u64(state, load64(at));
    state1 = _mm_crc32_u64(state1, load64(second));
    state2 = _mm_crc32_u64(state2, load64(third));
  }
  state = _mm_crc32_u64(state, load64(at));
  state1 = _mm_crc32_u64(state1, load64(second));
  const std::size_t more = all - 3 * lane;  // words the third lane has more than the others
  for (std::size_t left = more; left > 0; --left, third += 8) state2 = _mm_crc32_u64(state2, load64(third));
  const std::uint64_t others = moved(state, 2 * lane + more) ^ moved(state1, lane + more);
  return _mm_crc32_u64(state2, load64(third) ^ others);
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t extend_sse42(std::uint32_t state, const std::byte* at,
                                                                    std::size_t n) {
  state = static_cast<std::uint32_t>(sum_words<0>(state, nullptr, at, n / 8));
  for (std::size_t i = n / 8 * 8; i < n; ++i) state = _mm_crc32_u8(state, static_cast<std::uint8_t>(at[i]));
  return state;
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t extend_sse42(std::uint32_t state,
                                                                    const Crc32cHead& head,
                                                                    const std::byte* at, std::size_t n) {
  return static_cast<std::uint32_t>(sum_words<std::tuple_size_v<Crc32cHead>>(state, head.data(), at, n / 8));
}

/// isa-l leaves the upper halves of the vector registers in use. Until somebody clears them, each step from our SSE
/// instructions to libc's AVX ones and back costs some 70 ns: several for every record after a single long one.
__attribute__((target("avx"), noinline)) void clear_upper_halves() {
  _mm256_zeroupper();
}

const bool kHasAvx = __builtin_cpu_supports("avx") != 0;
const bool kHasInstructions = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
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
#if defined(__x86_64__)
    if (kHasAvx) clear_upper_halves();
#endif
    return state;
  }
#if defined(__x86_64__)
  if (kHasInstructions) return extend_sse42(state, at, n);
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

namespace {

/// Apart, so that the common case above it needs no stack.
__attribute__((noinline)) std::uint32_t one_after_the_other(std::uint32_t crc, const Crc32cHead& head,
                                                            std::span<const std::byte> words) {
  return crc32c(crc32c(crc, std::as_bytes(std::span(head))), words);
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, const Crc32cHead& head, std::span<const std::byte> words) {
#if defined(__x86_64__)
  if (kHasInstructions && words.size() < kBlockBytes) [[likely]] {
    return ~extend_sse42(~crc, head, words.data(), words.size());
  }
#endif
  return one_after_the_other(crc, head, words);
}

std::uint32_t copy_crc32c(std::uint32_t crc, const Crc32cHead& head, std::byte* to,
                          std::span<const std::byte> bytes) {
  if (bytes.size() < kBlockBytes) {
    copy_small(to, bytes.data(), bytes.size());
  } else {
    std::memcpy(to, bytes.data(), bytes.size());
  }
  return crc32c(crc, head, {to, (bytes.size() + 7) & ~std::size_t{7}});
}

}  // namespace fastlogd
