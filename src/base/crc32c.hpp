// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as stored in segments.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fastlogd {

/// Extends a finished checksum by more bytes: crc32c(crc32c(0, a), b) == crc32c(0, ab).
/// Uses the CPU's instruction where it has one, isa-l for blocks, tables elsewhere.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes);

/// The table version, for processors without the instruction and as the test's second opinion.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes);

/// What a sum begins with, before the bytes that lie in memory.
using Crc32cHead = std::array<std::uint64_t, 5>;

/// The same over `head` and then `words`, whose size is a multiple of 8: faster than one after the other.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, const Crc32cHead& head,
                                   std::span<const std::byte> words);

/// Checksum and copy of one small piece in one call: extends `crc` by `head`, copies `bytes` to `to`, and extends by what
/// now lies there up to the next multiple of 8. The memory behind the copy must be zero that far.
/// The checksum is of the bytes that were stored: the source is read once, and never again for the sum.
[[nodiscard]] std::uint32_t copy_crc32c(std::uint32_t crc, const Crc32cHead& head, std::byte* to,
                                        std::span<const std::byte> bytes);

}  // namespace fastlogd
