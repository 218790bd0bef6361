// Compares INDEX frames with the frames they tell of; part of verify.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "segment/frame_scan.hpp"
#include "segment/payloads.hpp"

namespace fastlogd::segment {

/// Is told of a segment's frames in order, from the first on. Behind damage it can't know what an INDEX must hold in
/// full; then it only refuses what contradicts the frames that were seen.
class IndexCheck {
 public:
  void begin_segment();
  void saw_record(const FrameView& frame);
  void saw_source(const FrameView& frame) { last_source_offset_ = frame.offset; }
  /// Nothing could be read from `from` up to `to`.
  void saw_damage(std::uint64_t from, std::uint64_t to);

  /// What is wrong with this INDEX frame; empty: it is right.
  [[nodiscard]] std::string check(const FrameView& frame);
  /// Whether the trailer names the last one.
  [[nodiscard]] bool is_last(std::uint64_t last_index_offset) const {
    return damage_seen_ || last_index_offset == last_index_offset_;
  }

 private:
  struct Range {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  [[nodiscard]] std::string check_entries(const DecodedIndex& index) const;

  std::vector<IndexEntry> expected_;  ///< since the last INDEX
  std::vector<Range> damage_;         ///< likewise
  std::uint64_t next_step_ = 0;
  std::uint64_t last_index_offset_ = 0;
  std::uint64_t last_source_offset_ = 0;
  bool damage_seen_ = false;  ///< anywhere in the segment
};

}  // namespace fastlogd::segment
