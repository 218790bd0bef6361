// Writes frames into the mapping of one active segment.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "record/extension.hpp"
#include "record/record_view.hpp"
#include "segment/format.hpp"
#include "segment/gap.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {

/// What the appender says of one record; the writer adds checksum and place.
struct NewRecord {
  Sequence sequence;
  std::int64_t receive_time_ns = 0;
  std::uint32_t source = 0;
  Priority priority;
  RecordFlags flags;
  Extension extension;
  std::string_view slice;
};

/// Appends frames; nothing is visible to readers until the owner publishes position(). Used by one thread
/// (the appender). Invariants:
///   1. memory from offset_ to the end of the frames area is zero;
///   2. a frame's commit word is stored last, with release: a commit word that is not 0 belongs to a whole
///   frame;
///   3. no frame crosses a multiple of 1 MiB, and every block but the first begins with a CHECKPOINT;
///   4. room for one GAP and one SEAL is left after every append that is not one of these.
class SegmentWriter {
 public:
  SegmentWriter() = default;

  /// Takes a prepared segment and writes its OPEN frame. The segment must outlive the writer.
  void start(PreparedSegment& segment, const OpenPayload& open, std::int64_t time_ns);

  /// False, and nothing written, if the segment has no room for it. `record.slice` is at most
  /// kRecordBytesMax.
  [[nodiscard]] bool append(const NewRecord& record);
  /// Defines the next source id of this segment; nothing if there is no room.
  [[nodiscard]] std::optional<std::uint32_t> append_source(const SourceView& source);
  [[nodiscard]] bool append_gap(const Gap& gap);
  /// Always fits, once. Nothing may follow.
  void seal(std::uint64_t next_index);

  /// Durable position to be written into the next CHECKPOINT frames.
  void set_durable(LogPosition durable) { durable_ = durable; }

  [[nodiscard]] bool started() const { return base_ != nullptr; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] LogPosition position() const { return LogPosition::of(index_, offset_); }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  [[nodiscard]] std::uint64_t segment_bytes() const { return segment_bytes_; }
  [[nodiscard]] std::uint64_t record_count() const { return records_; }
  [[nodiscard]] std::int64_t last_time_ns() const { return last_time_; }
  /// What seal_segment() needs later. Valid after seal().
  [[nodiscard]] FileTrailer trailer() const;

 private:
  [[nodiscard]] bool make_room(std::uint64_t frame_bytes, std::uint64_t reserve);
  [[nodiscard]] std::uint64_t place_for(std::uint64_t frame_bytes) const;
  void begin_block();
  void write_frame(FrameType type, std::uint32_t source, std::span<const std::byte> payload,
                   std::span<const std::byte> text = {}, std::span<const std::byte> more_text = {});
  void publish_frame(std::uint64_t at, const FrameHeader& header, std::uint32_t length, std::uint32_t crc);
  std::int64_t clamp(std::int64_t time_ns);

  std::byte* base_ = nullptr;
  std::uint64_t offset_ = 0;
  std::uint64_t end_ = 0;  ///< end of the frames area
  std::uint32_t salt_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::int64_t last_time_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t last_source_offset_ = 0;
  std::uint32_t next_source_ = 0;
  LogPosition durable_;

  std::uint64_t index_ = 0;
  std::uint64_t segment_bytes_ = 0;
  Uuid uuid_{};
  std::uint64_t first_sequence_ = 1;
  std::int64_t time_min_ = 0;
  std::int64_t time_max_ = 0;
};

}  // namespace fastlogd::segment
