// Keeps the store's helpers off the processor that the appender runs on.
#pragma once

#include <sched.h>

#include <atomic>

namespace fastlogd::append {

/// Where the appender ran last. It writes, once per cycle; its helpers read.
class AppenderCpu {
 public:
  void note() {
    const int now = ::sched_getcpu();  // no system call
    if (now != cpu_.load(std::memory_order_relaxed)) cpu_.store(now, std::memory_order_relaxed);
  }
  [[nodiscard]] int get() const { return cpu_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> cpu_{-1};
};

/// One per helper thread, used by it alone. Why: populating a huge page zeroes 2 MiB inside the kernel without a point
/// where it could be preempted, 0.3 ms on warm memory and 17 ms on memory that a virtual machine's host has yet to
/// provide (measured with sched_switch and sched_wakeup on Linux 6.18). An appender that is woken on the same processor
/// waits for that, whatever its priority; with a helper elsewhere it doesn't.
class StepAside {
 public:
  explicit StepAside(const AppenderCpu& appender) : appender_(appender) {}

  /// Before work that stays in the kernel for long. A system call only when the appender has moved; nothing where the
  /// process may use one processor alone.
  void move() {
    if (const int cpu = appender_.get(); cpu >= 0 && cpu != avoided_) [[unlikely]]
      avoid(cpu);
  }

 private:
  void avoid(int cpu);

  const AppenderCpu& appender_;
  cpu_set_t allowed_{};  ///< as the thread found it; valid once avoided_ is
  int avoided_ = -1;
};

}  // namespace fastlogd::append
