// How the appender asks for a sync without a system call per record.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/counter.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::append {

// clang-format off
/// What is to be made durable, as running totals: whoever wants something adds, the sync thread remembers up to which
/// totals it has come. Nothing is ever taken back, so nothing is lost between two looks.
///
///     appender, after each batch                       sync thread
///     1  committed_pos advances      (seq_cst)         a  bell.arm()
///     2  next_sequence_              (release)         b  wanted(), asked() beyond what I have seen? then no sleep
///     3  wanted_ += n, if any        (seq_cst)         c  bell.wait()
///     4  bell.notify(), if any                         d  wanted(), asked(), next_sequence(), then committed_pos,
///                                                         then fdatasync
///
/// Orders. 3 and 4 against a and b: no wake-up is lost, as in ring/wake_signal.hpp. d reads the totals before the
/// position: the position covers everyone who is counted, and no record numbered below next_sequence() lies behind it.
/// While the sync thread is in fdatasync its bell isn't armed, and 4 is one load: those who come meanwhile share the
/// next sync and pay no system call.
// clang-format on
class SyncDemand {
 public:
  explicit SyncDemand(std::unique_ptr<ring::WakeSignal> bell) : bell_(std::move(bell)) {}

  // ---- Appender ----

  /// After committed_pos has moved. `next_sequence`: what the next record gets; `wanting`: how many of the records
  /// that were published just now shall be synced at once.
  void published(std::uint64_t next_sequence, std::uint64_t wanting) {
    next_sequence_.store(next_sequence, std::memory_order_release);
    if (wanting == 0) return;
    wanted_.store(wanted_.load(std::memory_order_relaxed) + wanting, std::memory_order_seq_cst);
    bell_->notify();
  }

  // ---- Any thread ----

  /// A round is asked for, whatever the mode.
  void ask() {
    asked_.fetch_add(1, std::memory_order_seq_cst);
    bell_->notify();
  }
  /// The sync thread looks at its options, and whether it is to end.
  void look() { bell_->interrupt(); }

  // ---- Sync thread; the totals also who scrapes ----

  [[nodiscard]] std::uint64_t wanted() const { return wanted_.load(std::memory_order_seq_cst); }
  [[nodiscard]] std::uint64_t asked() const { return asked_.load(std::memory_order_seq_cst); }
  [[nodiscard]] std::uint64_t next_sequence() const { return next_sequence_.load(std::memory_order_acquire); }
  [[nodiscard]] ring::WakeSignal& bell() { return *bell_; }

 private:
  std::unique_ptr<ring::WakeSignal> bell_;
  alignas(kCacheLinePair) std::atomic<std::uint64_t> next_sequence_{0};
  std::atomic<std::uint64_t> wanted_{0};
  alignas(kCacheLinePair) std::atomic<std::uint64_t> asked_{0};
};

}  // namespace fastlogd::append
