#include "base/diagnostics.hpp"

#include <cstdio>
#include <iterator>

namespace fastlogd::diag {
namespace {

void write_to_stderr(Level level, std::string_view line) {
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  std::fprintf(stderr, "%s: %.*s\n", kNames[static_cast<int>(level)], static_cast<int>(line.size()),
               line.data());
}

std::atomic<Sink> current_sink{&write_to_stderr};
std::atomic<Level> lowest_level{Level::info};

}  // namespace

void set_sink(Sink sink) {
  current_sink.store(sink, std::memory_order_release);
}
void set_level(Level lowest) {
  lowest_level.store(lowest, std::memory_order_relaxed);
}
bool enabled(Level level) {
  return level >= lowest_level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view line) {
  current_sink.load(std::memory_order_acquire)(level, line);
}

bool RateLimit::admit(std::uint64_t& kept_back) {
  const std::int64_t now = monotonic_ns();
  std::int64_t next = next_ns_.load(std::memory_order_relaxed);
  if (now < next || !next_ns_.compare_exchange_strong(next, now + interval_ns_, std::memory_order_relaxed)) {
    kept_back_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  kept_back = kept_back_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace fastlogd::diag
