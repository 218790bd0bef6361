// What the configuration says of one stream's store.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/limits.hpp"

namespace fastlogd::append {

enum class DurabilityMode : std::uint8_t { none, interval };
enum class WhenFull : std::uint8_t { delete_oldest, block, drop_newest };

struct Durability {
  DurabilityMode mode = DurabilityMode::interval;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  friend bool operator==(const Durability&, const Durability&) = default;
};

struct Retention {
  std::uint64_t bytes_max = 8 * limits::kGiB;  ///< 0: no limit
  std::chrono::nanoseconds age_max{0};         ///< 0: no limit
  std::uint64_t keep_free = 1 * limits::kGiB;  ///< bytes left free on the file system; 0: no limit
  friend bool operator==(const Retention&, const Retention&) = default;
};

/// Live-changeable: durability.interval, retention, when_full. The rest needs a restart.
struct StreamOptions {
  std::string name = "main";
  std::string directory;
  std::uint64_t segment_bytes = limits::kSegmentBytesDefault;  ///< a power of two
  Durability durability;
  Retention retention;
  WhenFull when_full = WhenFull::delete_oldest;
  friend bool operator==(const StreamOptions&, const StreamOptions&) = default;
};

}  // namespace fastlogd::append
