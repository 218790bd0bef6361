// What the configuration says of one stream's store.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/limits.hpp"

namespace fastlogd::append {

/// When what is committed is made durable: when the kernel likes, every interval, at once with fdatasync (those that
/// come during one share the next), or at once by the store itself where the memory is the disk.
enum class DurabilityMode : std::uint8_t { none, interval, group, dax };
/// What follows a failed fdatasync, which is final for its segment.
enum class OnSyncFailure : std::uint8_t { fail_over, stop };
/// How frames get into the active segment, unless durability `dax` is in force.
enum class WriteBy : std::uint8_t {
  mapping,      ///< stores into a mapping, with huge pages where the kernel has them for this file system
  small_pages,  ///< the same with pages of 4 KiB: a sync writes less around few records
  pwrite,       ///< a buffer and one pwrite(2) per batch
};
enum class WhenFull : std::uint8_t { delete_oldest, block, drop_newest };

struct Durability {
  /// Lower than every severity: none is synced at once.
  static constexpr std::int8_t kNoSeverity = -1;

  DurabilityMode mode = DurabilityMode::interval;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  /// How long a sync may be put off for those who shared the last one; it starts as soon as as many have come. Never
  /// longer than the last sync took, so a group is never worse off than twice. 0: never put off.
  std::chrono::nanoseconds group_window = std::chrono::microseconds(500);
  /// Records of this severity (RFC 5424: 0 emerg .. 7 debug) and more severe ones are synced at once in every mode.
  std::int8_t sync_severity = kNoSeverity;
  OnSyncFailure on_failure = OnSyncFailure::fail_over;

  /// Every record is to be durable at once.
  [[nodiscard]] bool at_once() const { return mode == DurabilityMode::group || mode == DurabilityMode::dax; }
  friend bool operator==(const Durability&, const Durability&) = default;
};

struct Retention {
  std::uint64_t bytes_max = 8 * limits::kGiB;  ///< 0: no limit
  std::chrono::nanoseconds age_max{0};         ///< 0: no limit
  std::uint64_t keep_free = 1 * limits::kGiB;  ///< bytes left free on the file system; 0: no limit
  friend bool operator==(const Retention&, const Retention&) = default;
};

/// Live-changeable: durability but its mode, retention, when_full. The rest needs a restart.
struct StreamOptions {
  std::string name = "main";
  std::string directory;
  std::uint64_t segment_bytes = limits::kSegmentBytesDefault;  ///< a power of two
  Durability durability;
  WriteBy write = WriteBy::mapping;
  Retention retention;
  WhenFull when_full = WhenFull::delete_oldest;
  friend bool operator==(const StreamOptions&, const StreamOptions&) = default;
};

}  // namespace fastlogd::append
