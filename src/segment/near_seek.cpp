#include "segment/near_seek.hpp"

#include <algorithm>
#include <optional>

namespace fastlogd::segment {
namespace {

class NearSeek {
 public:
  NearSeek(SegmentCursor& cursor, std::uint64_t limit, const BeforeKey& before)
      : cursor_(cursor), limit_(std::min(limit, cursor.end_offset())), before_(before) {}

  Result<> run() {
    const std::uint64_t end = cursor_.last_block(limit_) + kBlockBytes;
    const std::uint64_t stretch = last_before(0, end, kIndexEveryBytes);
    const std::uint64_t stretch_end = std::min(stretch + kIndexEveryBytes, end);
    if (const auto place = by_index(stretch))
      return cursor_.stand_at(place->offset, place->last_source_offset);
    return cursor_.seek_block(last_before(stretch, stretch_end, kBlockBytes));
  }

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t last_source_offset = 0;
  };

  /// Of the blocks at first, first + step, ... before `end` the last that begins before the key; else `first`. A block
  /// that can't be read counts as behind it: then the way is longer, and nothing is missed.
  [[nodiscard]] std::uint64_t last_before(std::uint64_t first, std::uint64_t end, std::uint64_t step) {
    std::uint64_t low = 0;
    std::uint64_t high = (end - first + step - 1) / step;
    FrameView frame;
    while (high - low > 1) {
      const std::uint64_t middle = low + (high - low) / 2;
      const bool is_before = cursor_.peek_block(first + middle * step, limit_, frame) &&
                             before_(frame.header.sequence, frame.header.time_ns);
      (is_before ? low : high) = middle;
    }
    return first + low * step;
  }

  /// The INDEX that tells of the frames from `stretch` on stands behind the CHECKPOINT of the next multiple; the last
  /// one in front of SEAL.
  [[nodiscard]] std::optional<Place> by_index(std::uint64_t stretch) {
    const std::uint64_t next = stretch + kIndexEveryBytes + kFrameHeaderBytes + sizeof(CheckpointPayload);
    const std::uint64_t last = cursor_.trailer() ? cursor_.trailer()->last_index_offset : 0;
    for (const std::uint64_t at : {next, last}) {
      if (auto place = by_index_at(at, stretch)) return place;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Place> by_index_at(std::uint64_t at, std::uint64_t stretch) {
    FrameView frame;
    if (at <= stretch || at >= limit_ || cursor_.frame_at(at, limit_, frame) != FrameStatus::valid ||
        frame.header.type != FrameType::index) {
      return std::nullopt;
    }
    const auto index = decode_index(frame.payload, at);
    if (!index) return std::nullopt;
    const auto behind = std::partition_point(
        index->entries.begin(), index->entries.end(),
        [this](const IndexEntry& entry) { return before_(entry.sequence, entry.time_ns); });
    if (behind == index->entries.begin()) return std::nullopt;
    const IndexEntry entry = *std::prev(behind);
    if (entry.offset < stretch || !is_there(entry)) return std::nullopt;
    return Place{.offset = entry.offset, .last_source_offset = index->head.last_source_offset};
  }

  [[nodiscard]] bool is_there(const IndexEntry& entry) {
    FrameView frame;
    return cursor_.frame_at(entry.offset, limit_, frame) == FrameStatus::valid &&
           frame.header.type == FrameType::data && frame.header.sequence == entry.sequence &&
           frame.header.time_ns == entry.time_ns;
  }

  SegmentCursor& cursor_;
  std::uint64_t limit_;
  const BeforeKey& before_;
};

}  // namespace

Result<> seek_near(SegmentCursor& cursor, std::uint64_t limit, const BeforeKey& before) {
  cursor.read_ahead(limits::kPageBytes);
  auto done = NearSeek(cursor, limit, before).run();
  cursor.read_ahead(kReadAheadBytes);
  return done;
}

}  // namespace fastlogd::segment
