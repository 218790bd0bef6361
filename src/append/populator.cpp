#include "append/populator.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>

#include "base/limits.hpp"
#include "base/thread_role.hpp"

namespace fastlogd::append {
namespace {

constexpr std::uint64_t kStep = 2 * limits::kMiB;
constexpr std::uint64_t kAhead = 16 * limits::kMiB;

}  // namespace

void Populator::start(const std::string& stream) {
#ifdef MADV_POPULATE_WRITE
  thread_ = std::thread([this, name = "fl-ahead-" + stream] {
    set_thread_name(name.substr(0, 15).c_str());
    run();
  });
#else
  (void)stream;
#endif
}

void Populator::stop() {
  stop_.store(true, std::memory_order_release);
  bell_.ring();
  if (thread_.joinable()) thread_.join();
}

void Populator::run() {
  StepAside aside(appender_);
  while (!stop_.load(std::memory_order_acquire)) {
    bell_.wait(std::chrono::seconds(1));
    do {
      aside.move();
    } while (!stop_.load(std::memory_order_acquire) && populate_step());
  }
}

/// False: far enough ahead, or nothing to do.
bool Populator::populate_step() {
#ifdef MADV_POPULATE_WRITE
  const LogPosition committed = control_.committed();
  const auto segment = live_.find(committed.segment());
  if (!segment || segment->retired.load(std::memory_order_acquire) || !segment->file.mapping) return false;
  const std::uint64_t bytes = segment->file.header.segment_bytes;
  const std::uint64_t done = segment->populated_to.load(std::memory_order_relaxed);
  // What the appender has reached by itself needs no help any more.
  const std::uint64_t from = std::max(done, committed.offset() / kStep * kStep);
  if (from >= bytes || from >= committed.offset() + kAhead) {
    if (from >= bytes) segment->populated_to.store(LiveSegment::kAllPopulated, std::memory_order_relaxed);
    return false;
  }
  const std::uint64_t n = std::min(kStep, bytes - from);
  if (::madvise(segment->file.mapping.data() + from, n, MADV_POPULATE_WRITE) != 0) {
    segment->populated_to.store(LiveSegment::kAllPopulated,
                                std::memory_order_relaxed);  // not here; don't ask again
    return false;
  }
  segment->populated_to.store(from + n, std::memory_order_relaxed);
  return true;
#else
  return false;
#endif
}

}  // namespace fastlogd::append
