#include "segment/segment_cursor.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace fastlogd::segment {
namespace {

/// What the frame that begins here says it occupies.
std::size_t whole_frame(std::span<const std::byte> bytes) {
  std::uint32_t length = 0;
  if (bytes.size() >= sizeof length) std::memcpy(&length, bytes.data(), sizeof length);
  return std::max(kFrameHeaderBytes, std::min(padded(length), kBlockBytes));
}

}  // namespace

Result<SegmentCursor> SegmentCursor::open(FileSystem& files, const std::string& directory,
                                          std::uint64_t index, Access access) {
  auto opened = open_segment(files, directory, index);
  if (!opened) return opened.error();
  SegmentCursor cursor;
  cursor.files_ = &files;
  cursor.header_ = opened->header;
  cursor.trailer_ = opened->trailer;
  cursor.salt_ = checksum_salt(opened->header.segment_uuid);
  const std::uint64_t bytes = opened->header.segment_bytes;
  if (access == Access::pread) {
    cursor.bytes_ = SegmentBytes::buffered(files, std::move(opened->fd), bytes);
    return cursor;
  }
  auto mapped = SegmentBytes::mapped(files, std::move(opened->fd), bytes);
  if (!mapped) return mapped.error();
  cursor.bytes_ = std::move(*mapped);
  cursor.hold_->mapping = cursor.bytes_.mapping();
  return cursor;
}

void SegmentCursor::refresh() {
  bytes_.forget();
  Page page{};
  const auto got = files_->read_at(bytes_.fd(), page, header_.segment_bytes - kTrailerBytes);
  if (got) trailer_ = decode_trailer(std::span(page).first(*got), header_);
}

FrameStatus SegmentCursor::frame_at(std::uint64_t offset, std::uint64_t limit, FrameView& frame) {
  FrameStatus status = check_frame(bytes_.at_hand(offset, limit), offset, salt_, frame);
  if (status == FrameStatus::valid) [[likely]]
    return status;
  std::size_t wanted = kFrameHeaderBytes;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto bytes = bytes_.from(offset, limit, wanted);
    if (!bytes) {
      error_ = bytes.error();
      return FrameStatus::invalid;
    }
    status = check_frame(*bytes, offset, salt_, frame);
    if (status == FrameStatus::valid) break;
    // Once more with the whole frame, and with what has been published since it was buffered.
    if (status == FrameStatus::short_bytes) wanted = whole_frame(*bytes);
    bytes_.forget();
  }
  return status;
}

FrameStatus SegmentCursor::next(std::uint64_t limit, FrameView& frame) {
  const FrameStatus status = frame_at(skip_block_rest(offset_), std::min(limit, end_offset()), frame);
  if (status == FrameStatus::valid) {
    offset_ = frame.end();
    learn(frame);
  }
  return status;
}

bool SegmentCursor::record_of(const FrameView& frame, RecordView& record) const {
  if (!decode_record(frame, record)) return false;
  record.source = source_of(frame.header.source);
  return true;
}

/// Remembers the last one it looked up: most records come from the sender of the record before.
const SourceView& SegmentCursor::source_of(std::uint32_t number) const {
  if (number != last_source_number_) {
    const auto found = hold_->sources.find(number);
    last_source_ = found == hold_->sources.end() ? SourceView{} : found->second.view();
    last_source_number_ = number;
  }
  return last_source_;
}

/// A number means one source in all of a segment. If a file says otherwise, the first stays: views point at its names.
void SegmentCursor::learn(const FrameView& frame) {
  if (frame.header.type != FrameType::source) return;
  if (auto decoded = decode_source(frame.payload)) {
    hold_->sources.try_emplace(frame.header.source, std::move(decoded->source));
    last_source_number_.reset();
  }
}

/// Walks the chain of SOURCE frames backwards. Offsets must fall, so a damaged chain ends instead of looping.
Result<> SegmentCursor::learn_chain(std::uint64_t last_source_offset) {
  std::uint64_t at = last_source_offset;
  while (at >= kHeaderBytes && at % 8 == 0) {
    FrameView frame;
    if (frame_at(at, frames_end(header_.segment_bytes), frame) != FrameStatus::valid ||
        frame.header.type != FrameType::source) {
      return {};  // the rest of the chain is lost; its records show an unknown source
    }
    auto decoded = decode_source(frame.payload);
    if (!decoded || hold_->sources.contains(frame.header.source)) return {};
    const std::uint64_t previous = decoded->previous_source_offset;
    hold_->sources.emplace(frame.header.source, std::move(decoded->source));
    last_source_number_.reset();
    if (previous >= at) return {};
    at = previous;
  }
  return {};
}

std::optional<std::uint64_t> SegmentCursor::first_sequence() {
  FrameView open;
  if (peek_block(0, end_offset(), open)) return open.header.sequence;
  if (trailer_) return trailer_->first_sequence;
  return std::nullopt;
}

bool SegmentCursor::peek_block(std::uint64_t block, std::uint64_t limit, FrameView& frame) {
  return frame_at(std::max(block, kHeaderBytes), std::min(limit, end_offset()), frame) == FrameStatus::valid;
}

Result<> SegmentCursor::seek_block(std::uint64_t offset) {
  const std::uint64_t block = offset / kBlockBytes * kBlockBytes;
  offset_ = std::max(block, kHeaderBytes);
  if (block == 0) return {};
  FrameView frame;
  if (!peek_block(block, frames_end(header_.segment_bytes), frame)) return {};
  const auto checkpoint =
      frame.header.type == FrameType::checkpoint ? decode_checkpoint(frame.payload) : std::nullopt;
  return checkpoint ? learn_chain(checkpoint->last_source_offset) : Result<>{};
}

Result<> SegmentCursor::seek(std::uint64_t offset) {
  if (offset < kHeaderBytes || offset > frames_end(header_.segment_bytes) || offset % 8 != 0) {
    return invalid(fmt::format("offset {} is not in segment {}", offset, header_.index));
  }
  if (auto done = seek_block(offset); !done) return done;
  FrameView frame;
  while (offset_ < offset) {
    if (next(offset, frame) == FrameStatus::valid) continue;
    if (skip_block_rest(offset_) == offset) break;
    return invalid(fmt::format("offset {} of segment {} is not the start of a frame", offset, header_.index));
  }
  offset_ = offset;
  return {};
}

Result<std::vector<std::uint64_t>> SegmentCursor::frames_before(std::uint64_t end) {
  std::vector<std::uint64_t> offsets;
  if (end <= kHeaderBytes) return offsets;
  if (auto done = seek_block(end - 1); !done) return done.error();
  FrameView frame;
  while (offset_ < end && next(end, frame) == FrameStatus::valid) {
    if (frame.header.type == FrameType::data || frame.header.type == FrameType::gap)
      offsets.push_back(frame.offset);
  }
  return offsets;
}

std::uint64_t SegmentCursor::last_block(std::uint64_t limit) {
  const std::uint64_t end = std::min(limit, end_offset());
  if (trailer_ || end < frames_end(header_.segment_bytes)) {
    return end <= kHeaderBytes ? 0 : (end - 1) / kBlockBytes * kBlockBytes;
  }
  // Nobody says where the end is, but blocks fill in order: bisect for the last that begins with a valid frame.
  std::uint64_t low = 0;
  std::uint64_t high = (end + kBlockBytes - 1) / kBlockBytes;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    FrameView frame;
    (peek_block(middle * kBlockBytes, limit, frame) ? low : high) = middle;
  }
  return low * kBlockBytes;
}

}  // namespace fastlogd::segment
