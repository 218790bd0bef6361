// Where a frame lies in a stream's log. A type of its own, so that it can't be mixed up with a ring's
// position.
#pragma once

#include <compare>
#include <cstdint>

namespace fastlogd {

/// segment index << 32 | offset / 8: the same split for every segment size, so positions order and compare as
/// numbers.
struct LogPosition {
  std::uint64_t value = 0;

  [[nodiscard]] static constexpr LogPosition of(std::uint64_t segment, std::uint64_t offset) {
    return LogPosition{segment << 32 | offset / 8};
  }
  [[nodiscard]] constexpr std::uint64_t segment() const { return value >> 32; }
  [[nodiscard]] constexpr std::uint64_t offset() const { return (value & 0xffffffff) * 8; }
  friend constexpr auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

}  // namespace fastlogd
