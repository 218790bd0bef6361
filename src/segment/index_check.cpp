#include "segment/index_check.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace fastlogd::segment {

void IndexCheck::begin_segment() {
  *this = IndexCheck();
}

void IndexCheck::saw_record(const FrameView& frame) {
  if (frame.offset < next_step_) return;
  next_step_ = (frame.offset / kIndexStepBytes + 1) * kIndexStepBytes;
  expected_.push_back(
      {.sequence = frame.header.sequence, .time_ns = frame.header.time_ns, .offset = frame.offset});
}

void IndexCheck::saw_damage(std::uint64_t from, std::uint64_t to) {
  damage_.push_back({from, to});
  damage_seen_ = true;
}

std::string IndexCheck::check(const FrameView& frame) {
  const auto index = decode_index(frame.payload, frame.offset);
  std::string wrong = index ? check_entries(*index) : "INDEX frame contradicts itself";
  if (wrong.empty() && !damage_seen_ && index->head.previous_index_offset != last_index_offset_) {
    wrong = fmt::format("INDEX frame names {} as the one before it, that is at {}",
                        index->head.previous_index_offset, last_index_offset_);
  }
  if (wrong.empty() && !damage_seen_ && index->head.last_source_offset != last_source_offset_) {
    wrong = fmt::format("INDEX frame names {} as the last SOURCE, that is at {}",
                        index->head.last_source_offset, last_source_offset_);
  }
  expected_.clear();
  damage_.clear();
  last_index_offset_ = frame.offset;
  return wrong;
}

std::string IndexCheck::check_entries(const DecodedIndex& index) const {
  std::size_t found = 0;
  for (const IndexEntry& entry : index.entries) {
    const bool unreadable = std::any_of(damage_.begin(), damage_.end(), [&](const Range& range) {
      return entry.offset >= range.from && entry.offset < range.to;
    });
    if (unreadable) continue;
    if (std::find(expected_.begin(), expected_.end(), entry) == expected_.end()) {
      return fmt::format("INDEX frame says that record {} begins at {}, it does not", entry.sequence,
                         entry.offset);
    }
    ++found;
  }
  if (damage_.empty() && found != expected_.size())
    return fmt::format("INDEX frame has {} entries, {} are due", found, expected_.size());
  return {};
}

}  // namespace fastlogd::segment
