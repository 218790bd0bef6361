// The daemon's own log, seen from below: stages say what happened, daemon/ decides where it goes (spdlog).
// Not for the record path.
#pragma once

#include <atomic>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"

namespace fastlogd::diag {

enum class Level : std::uint8_t { debug, info, warning, error };

/// Receives finished lines from any thread.
using Sink = void (*)(Level level, std::string_view line);

/// Replaces the sink (default: "<level>: line" on stderr) and the lowest level that is shown.
void set_sink(Sink sink);
void set_level(Level lowest);
[[nodiscard]] bool enabled(Level level);

void write(Level level, std::string_view line);

template <class... Args>
void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (!enabled(level)) return;
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), format, std::forward<Args>(args)...);
  write(level, std::string_view(line.data(), line.size()));
}

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  log(Level::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  log(Level::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  log(Level::warning, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  log(Level::error, format, std::forward<Args>(args)...);
}

/// One per distinct error: lets the first through, then one each `interval`, with the number of those kept
/// back.
///   static diag::RateLimit limit;
///   limit.log(diag::Level::warning, "listener {}: accept failed: {}", name, error);
class RateLimit {
 public:
  explicit constexpr RateLimit(std::int64_t interval_ns = 5 * kNanosPerSecond) : interval_ns_(interval_ns) {}

  template <class... Args>
  void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
    std::uint64_t kept_back = 0;
    if (!enabled(level) || !admit(kept_back)) return;
    fmt::memory_buffer line;
    fmt::format_to(std::back_inserter(line), format, std::forward<Args>(args)...);
    if (kept_back > 0) fmt::format_to(std::back_inserter(line), " ({} more like this)", kept_back);
    write(level, std::string_view(line.data(), line.size()));
  }

 private:
  bool admit(std::uint64_t& kept_back);

  std::int64_t interval_ns_;
  std::atomic<std::int64_t> next_ns_{0};
  std::atomic<std::uint64_t> kept_back_{0};
};

}  // namespace fastlogd::diag
