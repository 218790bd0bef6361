// Sizes and durations as people write them: "64MiB", "30d", "100ms".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fastlogd {

/// "512", "64KiB", "1.5GiB", "10MB" (decimal) -> bytes. Refuses signs, overflow and unknown units, naming
/// them.
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);

/// "100ms", "1s", "5m", "12h", "30d", "2w" -> nanoseconds. A bare number needs a unit unless it is 0.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// 1536 -> "1.5KiB"; exact powers print without a fraction.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// 1500 ms -> "1.5s".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace fastlogd
