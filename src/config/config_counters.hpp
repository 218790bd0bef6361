// What reloading counts; written by the main thread, read on scrape.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/counter.hpp"

namespace fastlogd::config {

struct ConfigCounters {
  Counter reload_success;
  Counter reload_failure;
  std::atomic<std::uint64_t> generation{1};
  std::atomic<bool> last_reload_successful{true};
  std::atomic<std::int64_t> last_reload_success_time_ns{0};
};

}  // namespace fastlogd::config
