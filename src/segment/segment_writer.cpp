#include "segment/segment_writer.hpp"

#include <algorithm>
#include <cstring>

#include "base/crc32c.hpp"
#include "base/result.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::uint64_t kGapFrameBytes = kFrameHeaderBytes + sizeof(GapPayload);
constexpr std::uint64_t kNumbersFrameBytes = kFrameHeaderBytes + sizeof(NumbersPayload);
constexpr std::uint64_t kSealFrameBytes = kFrameHeaderBytes + sizeof(SealPayload);
constexpr std::uint64_t kEndBytes = kIndexFrameBytesMax + kSealFrameBytes;
constexpr std::uint64_t kCheckpointFrameBytes = kFrameHeaderBytes + sizeof(CheckpointPayload);
// More than a block ever begins with.
constexpr std::uint64_t kBlockHeadBytesMax = limits::kPageBytes;
static_assert(kCheckpointFrameBytes + kIndexFrameBytesMax <= kBlockHeadBytesMax);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

const std::uint64_t SegmentWriter::kReserveBytes =
    (kEarlyGapsKept + kLastGapsKept) * kGapFrameBytes + kEndBytes;

void SegmentWriter::start(PreparedSegment& segment, const OpenPayload& open, std::int64_t time_ns) {
  output_.open(segment, kHeaderBytes);
  offset_ = kHeaderBytes;
  room_end_ = 0;
  end_ = frames_end(segment.header.segment_bytes);
  salt_ = checksum_salt(segment.header.segment_uuid);
  next_sequence_ = first_sequence_ = open.first_sequence;
  last_time_ = time_ns;
  records_ = last_source_offset_ = last_index_offset_ = 0;
  index_entries_.begin_segment();
  order_.time_max_ns = std::max(order_.time_max_ns, time_max_);  // of the segment before, if this wrote it
  order_.begin(segment.header.index, time_ns);
  next_source_ = 0;
  durable_ = LogPosition{open.durable_position};
  index_ = segment.header.index;
  segment_bytes_ = segment.header.segment_bytes;
  uuid_ = segment.header.segment_uuid;
  time_min_ = time_max_ = 0;
  settled_ = mark();
  write_frame(FrameType::open, 0, bytes_of(open));
  output_.first_frame(offset_);  // not settled: a first batch that fails takes the OPEN back, too
}

/// Where a frame of this size would begin: here, or behind what the next block begins with.
std::uint64_t SegmentWriter::place_for(std::uint64_t frame_bytes) const {
  if (offset_ % kBlockBytes == 0) return offset_ + block_head_bytes(offset_);
  const std::uint64_t block_end = next_block(offset_);
  return offset_ + frame_bytes <= block_end ? offset_ : block_end + block_head_bytes(block_end);
}

std::uint64_t SegmentWriter::block_head_bytes(std::uint64_t block) const {
  return kCheckpointFrameBytes + (block % kIndexEveryBytes == 0 ? index_entries_.frame_bytes() : 0);
}

bool SegmentWriter::make_room(std::uint64_t frame_bytes, std::uint64_t reserve) {
  const std::uint64_t place = place_for(frame_bytes);
  // The reserve needs no block arithmetic of its own: behind the last multiple of 1 MiB there is none to
  // cross, and before it a whole block is still free.
  if (place + frame_bytes + reserve > end_) [[unlikely]]
    return false;
  if (place != offset_) begin_block();
  output_.reach(offset_, offset_, frame_bytes);
  room_end_ = std::min({next_block(offset_), end_ - kReserveBytes, output_.end()});
  return true;
}

void SegmentWriter::begin_block() {
  std::uint64_t written = offset_;
  if (offset_ % kBlockBytes != 0) {
    const std::uint64_t left = next_block(offset_) - offset_;
    if (left >= kFrameHeaderBytes) {
      const FrameHeader header{.sequence = next_sequence_, .time_ns = last_time_, .type = FrameType::pad};
      const auto length = static_cast<std::uint32_t>(left);
      output_.reach(offset_, offset_, kFrameHeaderBytes);
      publish_frame(offset_, header, length, frame_checksum_start(salt_, offset_, length, header));
      written += kFrameHeaderBytes;  // its payload is zero already
    }
    offset_ += left;  // fewer bytes than a header stay zero and are skipped by readers
  }
  output_.reach(written, offset_, kBlockHeadBytesMax);
  const CheckpointPayload checkpoint{.durable_position = durable_.value,
                                     .last_source_offset = last_source_offset_,
                                     .record_count = records_};
  const std::uint64_t block = offset_;
  write_frame(FrameType::checkpoint, 0, bytes_of(checkpoint));
  if (block % kIndexEveryBytes == 0) write_index();
}

void SegmentWriter::write_index() {
  if (index_entries_.empty()) return;
  const IndexPayload payload{.previous_index_offset = last_index_offset_,
                             .last_source_offset = last_source_offset_};
  last_index_offset_ = offset_;
  write_frame(FrameType::index, 0, bytes_of(payload), std::as_bytes(index_entries_.entries()));
  index_entries_.written();
}

std::int64_t SegmentWriter::clamp(std::int64_t time_ns) {
  last_time_ = std::max(last_time_, time_ns);
  return last_time_;
}

bool SegmentWriter::append(const NewRecord& record) {
  const std::size_t extension = extension_bytes(record.extension);
  const std::uint64_t length = kFrameHeaderBytes + extension + record.slice.size();
  if (!room_for(padded(length))) [[unlikely]]
    return false;
  const FrameHeader header{.sequence = record.sequence.value,
                           .time_ns = clamp(record.receive_time_ns),
                           .source = record.source,
                           .type = FrameType::data,
                           .flags = record.flags.bits,
                           .priority = record.priority.value,
                           .extension_words = static_cast<std::uint8_t>(extension / 8)};
  if (index_entries_.due(offset_)) [[unlikely]]
    index_entries_.add({.sequence = header.sequence, .time_ns = header.time_ns, .offset = offset_});
  std::byte* to = output_.at(offset_) + kFrameHeaderBytes;
  std::uint32_t crc = 0;
  if (extension == 0) [[likely]] {
    crc = copy_crc32c(salt_, checksum_head(offset_, length, header), to, bytes_of(record.slice));
  } else {
    write_extension(record.extension, to);
    std::memcpy(to + extension, record.slice.data(), record.slice.size());
    crc = crc32c(salt_, checksum_head(offset_, length, header), {to, padded(length) - kFrameHeaderBytes});
  }
  publish_frame(offset_, header, static_cast<std::uint32_t>(length), crc);
  offset_ += padded(length);
  if (records_++ == 0) time_min_ = header.time_ns;
  time_max_ = header.time_ns;
  next_sequence_ = record.sequence.value + 1;
  return true;
}

std::optional<std::uint32_t> SegmentWriter::append_source(const SourceView& source) {
  const std::uint64_t length =
      kFrameHeaderBytes + sizeof(SourcePayload) + source.host.size() + source.identifier.size();
  if (!room_for(padded(length))) return std::nullopt;
  const SourcePayload payload{.previous_source_offset = last_source_offset_,
                              .transport = source.transport,
                              .host_bytes = static_cast<std::uint8_t>(source.host.size()),
                              .identifier_bytes = static_cast<std::uint16_t>(source.identifier.size()),
                              .uid = source.uid,
                              .gid = source.gid,
                              .pid = source.pid};
  last_source_offset_ = offset_;
  write_frame(FrameType::source, next_source_, bytes_of(payload), bytes_of(source.host),
              bytes_of(source.identifier));
  return next_source_++;
}

bool SegmentWriter::append_gap(const Gap& gap, GapRoom room) {
  // What ends the segment keeps its own part of the reserve.
  const std::uint64_t reserve = room == GapRoom::ordinary ? kReserveBytes
                                : room == GapRoom::early  ? kLastGapsKept * kGapFrameBytes + kEndBytes
                                                          : kEndBytes;
  if (!make_room(kGapFrameBytes, reserve)) return false;
  if (gap.numbered())
    next_sequence_ = std::max(next_sequence_, gap.last.value + 1);  // it may tell of older times
  write_frame(FrameType::gap, 0, bytes_of(encode_gap(gap)));
  return true;
}

bool SegmentWriter::append_numbers(const Numbering& numbering) {
  if (!room_for(kNumbersFrameBytes)) return false;
  write_frame(FrameType::numbers, 0, bytes_of(NumbersPayload{numbering}));
  return true;
}

void SegmentWriter::seal(std::uint64_t next_index) {
  if (make_room(index_entries_.frame_bytes(), kSealFrameBytes)) write_index();
  FASTLOGD_CHECK(make_room(kSealFrameBytes, 0));
  const SealPayload payload{.last_sequence = next_sequence_ - 1,
                            .record_count = records_,
                            .last_source_offset = last_source_offset_,
                            .next_index = next_index};
  write_frame(FrameType::seal, 0, bytes_of(payload));
}

void SegmentWriter::write_frame(FrameType type, std::uint32_t source, std::span<const std::byte> payload,
                                std::span<const std::byte> text, std::span<const std::byte> more_text) {
  const std::uint64_t length = kFrameHeaderBytes + payload.size() + text.size() + more_text.size();
  const FrameHeader header{
      .commit = length, .sequence = next_sequence_, .time_ns = last_time_, .source = source, .type = type};
  std::byte* to = output_.at(offset_) + kFrameHeaderBytes;
  std::memcpy(to, payload.data(), payload.size());
  if (!text.empty()) std::memcpy(to + payload.size(), text.data(), text.size());
  if (!more_text.empty()) std::memcpy(to + payload.size() + text.size(), more_text.data(), more_text.size());
  const std::uint32_t crc = frame_checksum(salt_, offset_, header, {to, padded(length) - kFrameHeaderBytes});
  publish_frame(offset_, header, static_cast<std::uint32_t>(length), crc);
  offset_ += padded(length);
}

void SegmentWriter::publish_frame(std::uint64_t at, const FrameHeader& header, std::uint32_t length,
                                  std::uint32_t crc) {
  const auto words = header_words(header);
  std::memcpy(output_.at(at) + 8, words.data(), sizeof words);
  output_.commit(at, std::uint64_t{crc} << 32 | length);
}

// --- batches ---

SegmentWriter::Mark SegmentWriter::mark() const {
  return {.offset = offset_,
          .next_sequence = next_sequence_,
          .records = records_,
          .last_source_offset = last_source_offset_,
          .last_index_offset = last_index_offset_,
          .time_min = time_min_,
          .time_max = time_max_};
}

bool SegmentWriter::flush() {
  if (!output_.flush(offset_)) [[unlikely]]
    return false;
  settled_ = mark();
  return true;
}

void SegmentWriter::abandon() {
  output_.withdraw(settled_.offset, offset_);
  offset_ = settled_.offset;
  next_sequence_ = settled_.next_sequence;
  records_ = settled_.records;
  last_source_offset_ = settled_.last_source_offset;
  last_index_offset_ = settled_.last_index_offset;
  time_min_ = settled_.time_min;
  time_max_ = settled_.time_max;
  end_ = room_end_ = 0;  // no frame fits any more
}

FileTrailer SegmentWriter::trailer() const {
  return FileTrailer{.magic = {},
                     .segment_uuid = uuid_,
                     .state = TrailerState::sealed,
                     .zero = 0,
                     .end_offset = offset_,
                     .first_sequence = first_sequence_,
                     .last_sequence = next_sequence_ - 1,
                     .record_count = records_,
                     .time_min_ns = time_min_,
                     .time_max_ns = time_max_,
                     .last_index_offset = last_index_offset_,
                     .last_source_offset = last_source_offset_,
                     .ordered_since = order_.ordered_since};
}

}  // namespace fastlogd::segment
