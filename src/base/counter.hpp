// Plain counters for the record path: one writing thread, read by whoever scrapes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fastlogd {

/// add() is a load and a store, no locked instruction: correct because only one thread ever writes.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_release); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// For cold events that several threads may count.
class SharedCounter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_acq_rel); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

inline constexpr std::size_t kCacheLinePair = 128;  // adjacent-line prefetch fetches lines in pairs

}  // namespace fastlogd
