// Time comes in through here, so that a test can own it.
#pragma once

#include <cstdint>
#include <ctime>

namespace fastlogd {

inline constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
inline constexpr std::int64_t kNanosPerMilli = 1'000'000;

/// Nanoseconds since the epoch. Steps when the system clock is set.
[[nodiscard]] inline std::int64_t realtime_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

/// Nanoseconds since boot; never steps.
[[nodiscard]] inline std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

/// The wall clock a component stamps with. Tests hand in their own.
using WallClock = std::int64_t (*)();

}  // namespace fastlogd
