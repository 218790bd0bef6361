// Wakes a helper thread (sync, housekeeper, populator). Not for the record path, except ring(), which is one load while
// the thread has been rung already.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "base/result.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::append {

/// Any thread rings; one thread waits. A ring that comes while nobody waits is kept.
class Doorbell {
 public:
  explicit Doorbell(std::unique_ptr<ring::WakeSignal> signal) : signal_(std::move(signal)) {}

  void ring() {
    if (!rung_.exchange(true, std::memory_order_seq_cst)) signal_->interrupt();
  }
  /// Cheap enough for the appender's cycle: no store while the bell is still rung.
  void ring_once() {
    if (!rung_.load(std::memory_order_relaxed)) ring();
  }
  void wait(std::chrono::nanoseconds timeout) {
    if (!rung_.exchange(false, std::memory_order_seq_cst)) {
      signal_->wait(timeout);
      rung_.exchange(false, std::memory_order_seq_cst);  // a read too: what was done before the ring is seen
    }
    signal_->disarm();  // drains what interrupt() wrote
  }

 private:
  std::unique_ptr<ring::WakeSignal> signal_;
  std::atomic<bool> rung_{false};
};

}  // namespace fastlogd::append
