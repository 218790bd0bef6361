// A thread that populates pages in front of a writer, with the same distances as the daemon's own (append/populator).
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "append/doorbell.hpp"
#include "base/limits.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::bench {

/// The pieces are mappings of equal size that are written one after the other. The writer says how far it has come,
/// counted over all pieces; the helper keeps 16 MiB ahead of that in steps of 2 MiB.
class AheadHelper {
 public:
  explicit AheadHelper(std::vector<std::span<std::byte>> pieces)
      : pieces_(std::move(pieces)), bell_(ring::WakeSignal::create().value()) {
    total_ = pieces_.size() * pieces_.front().size();
    thread_ = std::thread([this] { run(); });
  }
  ~AheadHelper() {
    stop_.store(true);
    bell_.ring();
    thread_.join();
  }
  AheadHelper(const AheadHelper&) = delete;
  AheadHelper& operator=(const AheadHelper&) = delete;

  /// The writer, once per batch.
  void reached(std::uint64_t position) {
    reached_.store(position, std::memory_order_release);
    if (position + kRingBelow > populated_.load(std::memory_order_relaxed)) bell_.ring_once();
  }

 private:
  static constexpr std::uint64_t kStep = 2 * limits::kMiB;
  static constexpr std::uint64_t kAhead = 16 * limits::kMiB;
  static constexpr std::uint64_t kRingBelow = 8 * limits::kMiB;

  void run() {
    while (!stop_.load()) {
      bell_.wait(std::chrono::seconds(1));
      while (!stop_.load() && step()) continue;
    }
  }
  bool step() {
    const std::uint64_t reached = reached_.load(std::memory_order_acquire);
    const std::uint64_t from = std::max(populated_.load(std::memory_order_relaxed), reached / kStep * kStep);
    if (from >= total_ || from >= reached + kAhead) return false;
    const std::span<std::byte> piece = pieces_[from / pieces_.front().size()];
    const std::uint64_t offset = from % piece.size();
    const std::uint64_t n = std::min<std::uint64_t>(kStep, piece.size() - offset);
#ifdef MADV_POPULATE_WRITE
    (void)::madvise(piece.data() + offset, n, MADV_POPULATE_WRITE);
#endif
    populated_.store(from + n, std::memory_order_relaxed);
    return true;
  }

  std::vector<std::span<std::byte>> pieces_;
  append::Doorbell bell_;
  std::uint64_t total_ = 0;
  std::atomic<std::uint64_t> reached_{0};
  std::atomic<std::uint64_t> populated_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fastlogd::bench
