#include "segment/told_end.hpp"

#include <algorithm>

#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {
namespace {

std::optional<OpenPayload> open_of(FileSystem& files, const std::string& directory, std::uint64_t index) {
  auto cursor = SegmentCursor::open(files, directory, index, Access::pread);
  if (!cursor) return std::nullopt;
  cursor->read_ahead(limits::kPageBytes);
  FrameView frame;
  if (!cursor->peek_block(0, kBlockBytes, frame) || frame.header.type != FrameType::open) return std::nullopt;
  return decode_open(frame.payload);
}

}  // namespace

std::optional<OpenPayload> open_behind(FileSystem& files, const std::string& directory,
                                       std::span<const std::uint64_t> indices, std::uint64_t index) {
  for (auto it = std::upper_bound(indices.begin(), indices.end(), index); it != indices.end(); ++it) {
    if (auto open = open_of(files, directory, *it)) return open;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> told_end(const FileHeader& header, const std::optional<OpenPayload>& own,
                                      const OpenPayload& next) {
  if (next.reason != OpenReason::failed) return std::nullopt;
  if (next.previous_uuid == header.segment_uuid) {
    const std::uint64_t aligned = next.previous_end_offset & ~std::uint64_t{7};
    return std::clamp(aligned, kHeaderBytes, frames_end(header.segment_bytes));
  }
  // One run went on behind the same segment twice: this one's first batch was refused.
  if (own && own->previous_uuid == next.previous_uuid && own->epoch == next.epoch) return kHeaderBytes;
  return std::nullopt;
}

std::optional<std::uint64_t> find_told_end(FileSystem& files, const std::string& directory,
                                           std::span<const std::uint64_t> indices, const FileHeader& header) {
  const auto next = open_behind(files, directory, indices, header.index);
  if (!next || next->reason != OpenReason::failed) return std::nullopt;
  return told_end(header, open_of(files, directory, header.index), *next);
}

}  // namespace fastlogd::segment
