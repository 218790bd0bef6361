// Which sealed segments have to go.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "append/append_counters.hpp"
#include "append/stream_options.hpp"
#include "base/diagnostics.hpp"
#include "base/file_system.hpp"
#include "segment/control_file.hpp"
#include "segment/recovery.hpp"

namespace fastlogd::append {

/// Knows the sealed segments of a stream, oldest first, and removes from that end. Housekeeper only.
class SealedSegments {
 public:
  SealedSegments(FileSystem& files, std::string directory, segment::ControlWriter& control,
                 AppendCounters& counters)
      : files_(files), directory_(std::move(directory)), control_(control), counters_(counters) {}

  /// One that nobody writes any more. `on_disk`: false if a sync or a store of it has failed.
  void add_sealed(const segment::SegmentInfo& sealed, bool on_disk);
  /// Removes what is too much, too old, or in the way of keep_free. `other_bytes`: disk taken by unsealed segments.
  /// For keep_free the file system is asked once, and what is removed counts as free: a file that a reader still has
  /// open gives its blocks back later, and asking again would cost one segment after the other.
  void apply_retention(const Retention& rules, std::uint64_t other_bytes);
  /// Removes from the oldest on until so many bytes must become free, to make room on a full disk; false if nothing
  /// could be removed.
  bool free_up(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t sealed_bytes() const { return bytes_; }
  [[nodiscard]] std::size_t sealed_count() const { return sealed_.size(); }

 private:
  /// How many bytes went; none if there is no segment, or if a start would not know the next numbers without it.
  std::optional<std::uint64_t> remove_oldest();
  [[nodiscard]] bool is_last_on_disk(std::uint64_t index) const;

  FileSystem& files_;
  std::string directory_;
  segment::ControlWriter& control_;
  AppendCounters& counters_;
  std::deque<segment::SegmentInfo> sealed_;
  std::uint64_t bytes_ = 0;
  std::uint64_t newest_on_disk_ = 0;  ///< index; 0: none
  diag::RateLimit trouble_;
};

}  // namespace fastlogd::append
