#include "segment/unsealed_scan.hpp"

#include <algorithm>

#include "segment/told_end.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kScanBytes = 64 * limits::kKiB;
constexpr std::uint64_t kOpenEnd = kHeaderBytes + padded(kFrameHeaderBytes + sizeof(OpenPayload));

/// End of the last byte in [from, to) that is not zero; `from` if there is none. An unreadable block counts
/// as used.
std::uint64_t end_of_content(FileSystem& files, int fd, std::uint64_t from, std::uint64_t to) {
  std::vector<std::byte> buffer(kScanBytes);
  std::uint64_t end = from;
  for (std::uint64_t at = files.next_data(fd, from); at < to; at = files.next_data(fd, at + buffer.size())) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), to - at));
    const auto got = files.read_at(fd, part, at);
    if (!got) {
      end = at + part.size();
      continue;
    }
    if (all_zero(part.first(*got))) continue;
    const auto last = std::find_if(part.rend() - static_cast<std::ptrdiff_t>(*got), part.rend(),
                                   [](std::byte byte) { return byte != std::byte{0}; });
    end = at + static_cast<std::uint64_t>(part.rend() - last);
  }
  return end;
}

void note_frame(const FrameView& frame, UnsealedScan& scan) {
  scan.numbers.take(frame);
  scan.valid_end = frame.end();
  scan.last_frame_time_ns = frame.header.time_ns;
  switch (frame.header.type) {
    case FrameType::data:
      if (scan.record_count++ == 0) scan.time_min_ns = frame.header.time_ns;
      scan.time_max_ns = frame.header.time_ns;
      scan.last_sequence = frame.header.sequence;
      break;
    case FrameType::seal:
      scan.complete = true;
      break;
    case FrameType::source:
      scan.last_source_offset = frame.offset;
      break;
    case FrameType::gap:
      if (const auto gap = decode_gap(frame.payload); gap && gap->numbered()) {
        scan.gaps.push_back(*gap);
        scan.last_sequence = std::max(scan.last_sequence, gap->last.value);
      }
      break;
    case FrameType::index:
      scan.last_index_offset = frame.offset;
      break;
    case FrameType::checkpoint:
      if (const auto checkpoint = decode_checkpoint(frame.payload)) {
        scan.durable = std::max(scan.durable, LogPosition{checkpoint->durable_position});
      }
      break;
    default:
      break;
  }
}

/// A frame of the prefix carries the number that is due, and no time before its predecessor's.
bool in_sequence(const FrameView& frame, const UnsealedScan& scan) {
  const std::uint64_t due = scan.last_sequence + 1;
  if (frame.header.time_ns < scan.last_frame_time_ns) return false;
  return frame.header.type == FrameType::data ? frame.header.sequence == due : frame.header.sequence >= due;
}

/// Where what nobody can have read ends in a segment without a valid OPEN. A process that dies while it writes the OPEN
/// leaves any part of it but its commit word, and nothing behind: that word is stored before anything else is.
std::uint64_t end_of_unpublished(SegmentCursor& cursor, std::uint64_t limit) {
  FrameView frame;
  return cursor.frame_at(kHeaderBytes, limit, frame) == FrameStatus::unpublished ? kOpenEnd : kHeaderBytes;
}

bool scan_open(SegmentCursor& cursor, std::uint64_t limit, UnsealedScan& scan) {
  FrameView frame;
  cursor.return_to(kHeaderBytes);
  if (cursor.next(limit, frame) != FrameStatus::valid || frame.header.type != FrameType::open) return false;
  const auto open = decode_open(frame.payload);
  if (!open) return false;
  scan.open = *open;
  scan.valid_end = frame.end();
  scan.first_sequence = open->first_sequence;
  scan.last_sequence = open->first_sequence - 1;
  scan.durable = LogPosition{open->durable_position};
  scan.open_time_ns = scan.last_frame_time_ns = frame.header.time_ns;
  return true;
}

/// Behind the OPEN, up to `end`; from in front of it on, nothing counts, not even the OPEN.
void scan_frames(SegmentCursor& cursor, std::uint64_t end, UnsealedScan& scan) {
  if (end < scan.valid_end) scan.valid_end = kHeaderBytes;
  FrameView frame;
  while (!scan.complete && cursor.next(end, frame) == FrameStatus::valid && in_sequence(frame, scan)) {
    note_frame(frame, scan);
  }
  scan.numbers.finish();
}

}  // namespace

void NumbersScan::take(const FrameView& frame) {
  if (frame.header.type == FrameType::data) {
    if (!run_.client.is_none()) ++run_.first;
    complete_ = true;  // it is said before the first record
    said_last_ = false;
    return;
  }
  if (frame.header.type != FrameType::numbers) return;
  const auto numbering = decode_numbers(frame.payload);
  if (!numbering) return;
  end_run();
  run_ = *numbering;
  said_last_ = run_.client.is_none();
  complete_ = complete_ || said_last_;
}

FileTrailer UnsealedScan::trailer(const Uuid& segment_uuid, TrailerState state,
                                  std::uint64_t ordered_since) const {
  return FileTrailer{.magic = {},
                     .segment_uuid = segment_uuid,
                     .state = state,
                     .zero = 0,
                     .end_offset = valid_end,
                     .first_sequence = first_sequence,
                     .last_sequence = last_sequence,
                     .record_count = record_count,
                     .time_min_ns = time_min_ns,
                     .time_max_ns = time_max_ns,
                     .last_index_offset = last_index_offset,
                     .last_source_offset = last_source_offset,
                     .ordered_since = ordered_since};
}

BlocksBehind look_behind(SegmentCursor& cursor, std::uint64_t from) {
  const std::uint64_t limit = frames_end(cursor.header().segment_bytes);
  BlocksBehind behind;
  FrameView frame;
  for (std::uint64_t block = next_block(from); block < limit; block += kBlockBytes) {
    if (cursor.frame_at(block, limit, frame) != FrameStatus::valid) continue;
    if (frame.header.type != FrameType::checkpoint) continue;
    if (const auto checkpoint = decode_checkpoint(frame.payload)) {
      behind.durable = std::max(behind.durable, LogPosition{checkpoint->durable_position});
      ++behind.blocks;
      behind.told_sequence = std::max(behind.told_sequence, frame.header.sequence - 1);
      behind.told_time_ns = std::max(behind.told_time_ns, frame.header.time_ns);
    }
  }
  return behind;
}

UnsealedScan scan_unsealed(FileSystem& files, SegmentCursor& cursor, const std::optional<OpenPayload>& next) {
  const std::uint64_t limit = frames_end(cursor.header().segment_bytes);
  UnsealedScan scan;
  if (!scan_open(cursor, limit, scan)) {
    const std::uint64_t first_mib = std::min(limit, kBlockBytes);
    cursor.read_ahead(limits::kPageBytes);
    const BlocksBehind behind = look_behind(cursor, kHeaderBytes);
    scan.durable = behind.durable;
    const std::uint64_t from = end_of_unpublished(cursor, limit);
    scan.unused = behind.blocks == 0 && end_of_content(files, cursor.fd(), from, first_mib) == from;
    scan.no_open = !scan.unused;
    return scan;
  }
  scan_frames(cursor, next ? told_end(cursor.header(), scan.open, *next).value_or(limit) : limit, scan);
  // What was durable may be told by a CHECKPOINT behind the first invalid frame: R is the highest found
  // anywhere.
  cursor.read_ahead(limits::kPageBytes);
  const BlocksBehind behind = look_behind(cursor, scan.valid_end);
  scan.durable = std::max(scan.durable, behind.durable);
  scan.told_sequence = behind.told_sequence;
  scan.told_time_ns = behind.told_time_ns;
  scan.torn_bytes = end_of_content(files, cursor.fd(), scan.valid_end, limit) - scan.valid_end;
  return scan;
}

}  // namespace fastlogd::segment
