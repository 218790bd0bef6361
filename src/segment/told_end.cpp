#include "segment/told_end.hpp"

#include <algorithm>

#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {
namespace {

/// A file that is gone or is no segment has none.
Result<std::optional<OpenPayload>> open_of(FileSystem& files, const std::string& directory,
                                           std::uint64_t index) {
  auto cursor = SegmentCursor::open(files, directory, index, Access::pread);
  if (!cursor)
    return is_no_segment(cursor.error()) ? Result<std::optional<OpenPayload>>(std::nullopt) : cursor.error();
  cursor->read_ahead(limits::kPageBytes);
  FrameView frame;
  if (!cursor->peek_block(0, kBlockBytes, frame) || frame.header.type != FrameType::open)
    return std::optional<OpenPayload>();
  return decode_open(frame.payload);
}

}  // namespace

bool is_no_segment(const Error& error) {
  return is_bad_segment(error) || error.code == std::errc::no_such_file_or_directory;
}

Result<std::optional<OpenPayload>> open_behind(FileSystem& files, const std::string& directory,
                                               std::span<const std::uint64_t> indices, std::uint64_t index) {
  for (auto it = std::upper_bound(indices.begin(), indices.end(), index); it != indices.end(); ++it) {
    auto open = open_of(files, directory, *it);
    if (!open || *open) return open;
  }
  return std::optional<OpenPayload>();
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

Result<std::optional<std::uint64_t>> find_told_end(FileSystem& files, const std::string& directory,
                                                   std::span<const std::uint64_t> indices,
                                                   const FileHeader& header) {
  const auto next = open_behind(files, directory, indices, header.index);
  if (!next) return next.error();
  if (!*next || (*next)->reason != OpenReason::failed) return std::optional<std::uint64_t>();
  const auto own = open_of(files, directory, header.index);
  if (!own) return own.error();
  return told_end(header, *own, **next);
}

}  // namespace fastlogd::segment
