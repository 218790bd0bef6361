// Sleep until another thread has moved a position; no system call while both sides are busy.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

#include "base/counter.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fastlogd::ring {

// clang-format off
/// One per sleeping thread: an eventfd and a flag that says "I am about to sleep". Several wakers may share it,
/// and one sleeper may wait on the positions of many rings with it.
///
/// Use. A consumer that has found all its rings empty (for a producer that has found one full, read
/// publish_space and has_space in the same places):
///
///     sleeper                                       waker
///     1  signal.arm();             flag = 1         a  ring.commit(n) ...   position (release), per entry
///     2  for every ring:                            b  ring.publish();      position (seq_cst), per batch
///          if (ring.has_data())    position         c  signal.notify();     flag; if set: flag = 0, eventfd
///            goto awake;
///     3  signal.wait(timeout);     poll(eventfd)
///     4  awake: signal.disarm();   flag = 0, eventfd drained
///     5  look at every ring again
///
/// Why no wake-up is lost. There are two words: the position and the flag. The sleeper stores the flag (1), then
/// loads the position (2); the waker stores the position (b), then loads the flag (c). All four are seq_cst
/// accesses to the words themselves, so they have one order that all threads agree on. Either 1 comes before c
/// in it, then the waker sees the flag and writes to the eventfd; or c comes before 1, then b comes before 2
/// and the sleeper sees the position. Both missing would be a circle. With release and acquire alone both may
/// miss: each store may still wait in its core's store buffer while the load behind it runs. The plain commits
/// before b need no such care: b re-stores their sum. tests/unit/ring/wake_model_test.cpp walks all orders.
///
/// Invariants.
///  1. The sleeper arms before its last look at the conditions, and looks at all of them after arming.
///  2. Whoever takes the flag from 1 to 0 by exchange writes to the eventfd: at most one write per sleep.
///  3. disarm() may swallow a wake-up that arrives just then, so step 5 is not optional. A write that lands
///     after disarm (its waker had already taken the flag) makes one later wait return early: wakes may be
///     spurious.
///  4. notify() without a sleeper is one load.
// clang-format on
class WakeSignal {
 public:
  /// Errors: EMFILE, ENFILE, ENOMEM of eventfd(2).
  [[nodiscard]] static Result<std::unique_ptr<WakeSignal>> create();

  WakeSignal(const WakeSignal&) = delete;
  WakeSignal& operator=(const WakeSignal&) = delete;

  // ---- The sleeping thread ----

  void arm() { armed_.store(1, std::memory_order_seq_cst); }
  /// Sleeps until notified or until `timeout` has passed; negative: no time limit. True if notified (or
  /// early, by a late waker of an earlier sleep), false after the time limit. An event loop waits on fd()
  /// instead.
  bool wait(std::chrono::nanoseconds timeout);
  void disarm();

  /// Readable after a notify; owned by this object.
  [[nodiscard]] int fd() const { return event_.get(); }

  // ---- Any thread ----

  /// After ByteRing::publish() or publish_space(), or after any seq_cst store that the sleeper re-checks.
  void notify() {
    if (armed_.load(std::memory_order_seq_cst) != 0) [[unlikely]]
      wake();
  }

  /// Wakes whether or not the sleeper has armed: for commands and termination, whose conditions are not ring
  /// positions.
  void interrupt();

 private:
  explicit WakeSignal(UniqueFd event) : event_(std::move(event)) {}
  void wake();

  alignas(kCacheLinePair) std::atomic<int> armed_{0};
  alignas(kCacheLinePair) UniqueFd event_;
};

}  // namespace fastlogd::ring
