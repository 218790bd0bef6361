// Names a thread and lets an object remember which thread owns it.
#pragma once

#include <atomic>
#include <thread>

#include "base/result.hpp"

namespace fastlogd {

/// The name shown by ps -L and perf; at most 15 characters (prctl(2), PR_SET_NAME).
void set_thread_name(const char* name);

/// "Threads own": an object holds one and calls check() at its entry points. The first caller becomes the
/// owner.
class ThreadOwner {
 public:
  void check() {
    const std::thread::id self = std::this_thread::get_id();
    std::thread::id nobody{};
    if (owner_.load(std::memory_order_relaxed) == self) return;
    FASTLOGD_CHECK(owner_.compare_exchange_strong(nobody, self, std::memory_order_relaxed));
  }
  /// The owner hands the object over, e.g. when a thread has been joined.
  void release() { owner_.store({}, std::memory_order_relaxed); }

 private:
  std::atomic<std::thread::id> owner_{};
};

}  // namespace fastlogd
