// How long it pays to look for work before sleeping.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>

#include "base/clock.hpp"

namespace fastlogd::ring {

/// For a thread that waits for others' work. Where work comes every few microseconds, going to sleep and being woken costs
/// both sides more than the work; where it comes now and then, looking is wasted. How long the last waits took tells which
/// it is: short ones widen the window in which the thread keeps looking (and yields the processor between two looks),
/// long ones close it, at first to a quarter and soon to nothing. So a thread without work sleeps at once.
///
/// A wait's time holds the way to sleep and back, which alone may take some 60 us on a virtual machine; that is why a wait
/// counts as short that is longer than the widest window.
///
/// Thread: the one that waits.
class PollWindow {
 public:
  static constexpr std::int64_t kFirstNanos = 10'000;
  static constexpr std::int64_t kWidestNanos = 40'000;
  static constexpr std::int64_t kShortWaitNanos = 100'000;

  /// A wait has ended: `nanos` from the first look in vain to the one that found something, asleep or not.
  void waited(std::int64_t nanos) {
    if (nanos <= kShortWaitNanos) {
      nanos_ = std::clamp(2 * nanos_, kFirstNanos, kWidestNanos);
    } else {
      nanos_ = nanos_ / 4 < kFirstNanos ? 0 : nanos_ / 4;
    }
  }

  /// Looks for as long as the window is wide, and yields the processor before each look. True: found.
  template <class Found>
  [[nodiscard]] bool look(Found found) const {
    if (nanos_ == 0) return false;
    const std::int64_t until_ns = monotonic_ns() + nanos_;
    do {
      std::this_thread::yield();
      if (found()) return true;
    } while (monotonic_ns() < until_ns);
    return false;
  }

  /// How long the next wait should look before it sleeps, in nanoseconds; 0: not at all.
  [[nodiscard]] std::int64_t nanos() const { return nanos_; }

 private:
  std::int64_t nanos_ = 0;
};

}  // namespace fastlogd::ring
