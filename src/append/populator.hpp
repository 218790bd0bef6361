// Touches pages of the active segment before the appender gets there.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "append/doorbell.hpp"
#include "append/live_segment.hpp"
#include "append/step_aside.hpp"
#include "segment/control_file.hpp"

namespace fastlogd::append {

/// A store into a page that is not in the page cache costs the appender a fault, and the fault a block mapping. This
/// thread takes those faults, kAhead bytes in front of the committed position, with MADV_POPULATE_WRITE; where the
/// kernel lacks it (before 5.14) it does nothing.
class Populator {
 public:
  Populator(LiveSegments& live, segment::ControlWriter& control, Doorbell& bell, const AppenderCpu& appender)
      : live_(live), control_(control), bell_(bell), appender_(appender) {}
  void start(const std::string& stream);
  void stop();

 private:
  void run();
  bool populate_step();

  LiveSegments& live_;
  segment::ControlWriter& control_;
  Doorbell& bell_;
  const AppenderCpu& appender_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fastlogd::append
