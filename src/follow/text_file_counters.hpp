// What a text file follower counts; written by its thread, read on scrape.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/counter.hpp"

namespace fastlogd::follow {

struct TextFileCounters {
  Counter lines;
  Counter bytes;
  Counter rotations;
  Counter errors;
  Counter overtaken;  ///< times retention removed what had not been written yet
  std::atomic<std::uint64_t> lag_bytes{0};
  std::atomic<bool> failing{false};  ///< the last step met an error; it is tried again
};

}  // namespace fastlogd::follow
