// What the next INDEX frame of a segment will say.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "segment/payloads.hpp"

namespace fastlogd::segment {

/// Collects one entry for each step of kIndexStepBytes, in memory of its own: the appender never allocates. An
/// INDEX frame at every multiple of kIndexEveryBytes and one in front of SEAL keep it from overflowing.
class IndexEntries {
 public:
  void begin_segment() {
    count_ = 0;
    next_step_ = 0;
  }
  /// Does a DATA frame at `offset` want an entry? The only thing asked for every record.
  [[nodiscard]] bool due(std::uint64_t offset) const { return offset >= next_step_; }
  void add(const IndexEntry& entry) {
    next_step_ = (entry.offset / kIndexStepBytes + 1) * kIndexStepBytes;
    if (count_ < entries_.size()) entries_[count_++] = entry;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::span<const IndexEntry> entries() const { return std::span(entries_).first(count_); }
  /// Of the INDEX that would be written now; 0: none would.
  [[nodiscard]] std::uint64_t frame_bytes() const {
    return empty() ? 0 : kFrameHeaderBytes + sizeof(IndexPayload) + count_ * sizeof(IndexEntry);
  }
  void written() { count_ = 0; }

 private:
  std::array<IndexEntry, kIndexEntriesMax> entries_{};
  std::size_t count_ = 0;
  std::uint64_t next_step_ = 0;
};

inline constexpr std::uint64_t kIndexFrameBytesMax =
    kFrameHeaderBytes + sizeof(IndexPayload) + kIndexEntriesMax * sizeof(IndexEntry);

}  // namespace fastlogd::segment
