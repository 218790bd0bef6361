// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as stored in segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fastlogd {

/// Extends a finished checksum by more bytes: crc32c(crc32c(0, a), b) == crc32c(0, ab).
/// Uses the CPU's instruction where it has one, isa-l for blocks, tables elsewhere.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes);

/// The table version, for processors without the instruction and as the test's second opinion.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes);

/// Copies `bytes` and returns the checksum extended by them, in one pass over the source. The checksum is of
/// the bytes that were stored: each word is read once, stored and summed from the same register.
[[nodiscard]] std::uint32_t copy_crc32c(std::uint32_t crc, std::byte* to, std::span<const std::byte> bytes);

}  // namespace fastlogd
