// Which threads still complete their duty cycles.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fastlogd::daemon {

/// Fed with every thread's count of completed cycles, idle ones included. A thread waits at most a second in a cycle,
/// so a count that stands still means that the thread hangs. Threads that may wait for a disk (sync, housekeeper) are
/// not watched: a slow disk is no reason to be killed. Main thread.
class VitalSigns {
 public:
  using Clock = std::chrono::steady_clock;

  void observe(const std::string& thread, std::uint64_t cycles, Clock::time_point now);

  /// Threads whose count has not moved for `bound`, by name.
  [[nodiscard]] std::vector<std::string> stalled(Clock::time_point now, Clock::duration bound) const;

 private:
  struct Pulse {
    std::uint64_t cycles = 0;
    Clock::time_point moved;
  };
  std::map<std::string, Pulse> pulses_;
};

}  // namespace fastlogd::daemon
