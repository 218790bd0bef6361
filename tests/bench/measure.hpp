// What the measuring programs share: a cheap clock, percentiles, and what the process has used.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include <fmt/format.h>

#include "base/clock.hpp"

namespace fastlogd::bench {

/// The time stamp counter, calibrated against CLOCK_MONOTONIC: a look costs about 10 ns less than clock_gettime.
/// Elsewhere than on x86-64 it is CLOCK_MONOTONIC itself.
class TickClock {
 public:
  TickClock() {
    const std::int64_t started_ns = monotonic_ns();
    const std::uint64_t started = now();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::uint64_t ticks = now() - started;
    nanos_per_tick_ = static_cast<double>(monotonic_ns() - started_ns) / static_cast<double>(ticks);
  }
  [[nodiscard]] static std::uint64_t now() {
#ifdef __x86_64__
    return __rdtsc();
#else
    return static_cast<std::uint64_t>(monotonic_ns());
#endif
  }
  [[nodiscard]] double nanos_per_tick() const { return nanos_per_tick_; }

 private:
  double nanos_per_tick_ = 1.0;
};

/// Has a child touch `bytes` of free memory and give it back, immediately before the clock starts: a virtual machine's host
/// takes free memory away within two seconds or so, and to get a page back costs ten times what using it does. Call it
/// where nobody else measures.
inline void warm_memory(std::size_t bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) {
      (void)::madvise(at, bytes, MADV_HUGEPAGE);
      for (std::size_t i = 0; i < bytes; i += 4096) static_cast<volatile char*>(at)[i] = 1;
    }
    ::_exit(0);
  }
  if (child > 0) (void)::waitpid(child, nullptr, 0);
}

/// Durations of single calls. All memory is touched by the constructor: adding one costs a store. What comes after
/// `capacity` samples is not kept.
class Samples {
 public:
  explicit Samples(std::size_t capacity) : values_(capacity, 1) { values_.clear(); }

  void add(std::uint64_t value) {
    if (values_.size() < values_.capacity()) values_.push_back(value);
  }
  [[nodiscard]] std::size_t size() const { return values_.size(); }

  /// {"count", "p50", "p90", "p99", "p99.9", "p99.99", "p99.999", "max"} in nanoseconds.
  [[nodiscard]] std::string json(double nanos_per_unit = 1.0) {
    if (values_.empty()) return "null";
    std::sort(values_.begin(), values_.end());
    const auto at = [&](double quantile) {
      const auto last = static_cast<double>(values_.size() - 1);
      return static_cast<double>(values_[static_cast<std::size_t>(quantile * last)]) * nanos_per_unit;
    };
    return fmt::format(
        R"({{"count": {}, "p50": {:.0f}, "p90": {:.0f}, "p99": {:.0f}, "p99.9": {:.0f}, "p99.99": {:.0f}, "p99.999": {:.0f}, "max": {:.0f}}})",
        values_.size(), at(0.5), at(0.9), at(0.99), at(0.999), at(0.9999), at(0.99999), at(1.0));
  }

  /// [[upper bound in ns, how many], ...]: buckets of 1, 2 and 5 times a power of ten; empty ones are left out. Each
  /// holds what is above the bound before. Values are nanoseconds.
  [[nodiscard]] std::string histogram_json() {
    std::sort(values_.begin(), values_.end());
    std::string text;
    auto from = values_.begin();
    for (std::uint64_t power = 10; from != values_.end(); power *= 10) {
      for (const std::uint64_t bound : {power, 2 * power, 5 * power}) {
        const auto to = std::upper_bound(from, values_.end(), bound);
        if (to != from) text += fmt::format("{}[{}, {}]", text.empty() ? "" : ", ", bound, to - from);
        from = to;
      }
    }
    return "[" + text + "]";
  }

 private:
  std::vector<std::uint64_t> values_;
};

/// User and system seconds of this process, all threads.
inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// A "Name:   123 kB" line of /proc/self/status in KiB; 0 if there is none.
inline std::uint64_t status_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::uint64_t value = 0;
  while (status >> word) {
    if (word == name + ":" && status >> value) return value;
  }
  return 0;
}

/// The members every result has: "cpu_seconds", "peak_kib" (file mappings included), "anonymous_kib" (now).
inline std::string usage_json(double cpu_seconds_before) {
  return fmt::format(R"("cpu_seconds": {:.6f}, "peak_kib": {}, "anonymous_kib": {})",
                     cpu_seconds() - cpu_seconds_before, status_kib("VmHWM"), status_kib("RssAnon"));
}

inline double seconds_since(std::int64_t started_ns) {
  return static_cast<double>(monotonic_ns() - started_ns) * 1e-9;
}

}  // namespace fastlogd::bench
