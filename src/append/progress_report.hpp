// The appender's side of RingProgress for one ring.
#pragma once

#include <cstdint>

#include "record/progress.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::append {

/// Collects what became of a ring's entries during a batch, then tells the io thread. Thread: the appender.
class ProgressReport {
 public:
  /// Null pointers: nobody wants to know (benchmarks, tests).
  ProgressReport(RingProgress* progress, ring::WakeSignal* acks) : progress_(progress), acks_(acks) {}

  /// The entry at hand is given up; its first `kept` messages were stored.
  void dropped(std::uint32_t kept, ingress::LossReason reason) {
    entry_dropped_ = true;
    entry_ = {.kept = kept, .reason = reason};
  }
  /// The entry at hand has been released; it ended at this ring position.
  void released(std::uint64_t end) {
    if (!entry_dropped_) {
      adjoining_ = false;
      return;
    }
    entry_dropped_ = false;
    entry_.first_end = entry_.last_end = end;
    const bool joins = adjoining_ && entry_.kept == 0 && entry_.reason == open_.reason;
    if (joins || !push_open(kPlaceToPublish)) {
      open_.last_end = end;  // with the queue full: what was stored between is refused too, never the reverse
    } else {
      open_ = entry_;
    }
    adjoining_ = true;
  }

  /// After the batch has been published. Nothing is told while the queue of dropped ranges is full.
  void publish(const RingPoint& point) {
    if (progress_ == nullptr) return;
    behind_ = !push_open(0);
    if (behind_) return;
    adjoining_ = false;
    progress_->publish(point);
    acks_->notify();
  }
  /// The last publish() told nothing: call it again.
  [[nodiscard]] bool behind() const { return behind_; }

 private:
  /// The queue's last place, for the range that is open at the next publish().
  static constexpr std::size_t kPlaceToPublish = 1;

  [[nodiscard]] bool push_open(std::size_t spare) {
    if (open_.last_end == 0) return true;
    if (progress_ != nullptr && !progress_->push_dropped(open_, spare)) return false;
    open_ = {};
    return true;
  }

  RingProgress* progress_;
  ring::WakeSignal* acks_;
  DroppedRange open_{};  ///< last_end 0: none
  DroppedRange entry_{};
  bool entry_dropped_ = false;
  bool adjoining_ = false;  ///< the entry before the one at hand belongs to open_
  bool behind_ = false;
};

}  // namespace fastlogd::append
