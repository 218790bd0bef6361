// Writes frames into one active segment.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "record/extension.hpp"
#include "record/record_view.hpp"
#include "segment/format.hpp"
#include "segment/frame_output.hpp"
#include "segment/gap.hpp"
#include "segment/index_entries.hpp"
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

/// How much of the room that a segment keeps for GAPs one may take. A disk that is full gives no next segment: whatever is
/// lost from then on is to be told of in this one.
enum class GapRoom : std::uint8_t {
  ordinary,  ///< none of it
  early,     ///< but for the last ones
  last,      ///< all of it
};
inline constexpr std::size_t kEarlyGapsKept = 40;  ///< each tells of more than all before: 2^40 losses
inline constexpr std::size_t kLastGapsKept = ingress::kLossReasons;

/// Appends frames. A batch of them ends with flush(); only then may the owner publish position(), and nothing is
/// visible to readers before. Used by one thread (the appender). Invariants:
///   1. memory from offset_ to the end of the frames area is zero;
///   2. a frame's commit word is stored last, with release: a commit word that is not 0 belongs to a whole
///   frame;
///   3. no frame crosses a multiple of 1 MiB, and every block but the first begins with a CHECKPOINT, every fourth
///   with an INDEX behind it;
///   4. room for some GAPs, the last INDEX and one SEAL is left after every append that is not one of these.
class SegmentWriter {
 public:
  /// For whom the file system and the processor are what they are; a test brings its own.
  explicit SegmentWriter(FileSystem& files = posix_file_system(), Persist& persist = processor_persist())
      : output_(files, persist) {}

  /// Takes a prepared segment and writes its OPEN frame. The segment must live until close() or the next start().
  void start(PreparedSegment& segment, const OpenPayload& open, std::int64_t time_ns);

  /// False, and nothing written, if the segment has no room for it. `record.slice` is at most
  /// kRecordBytesMax.
  [[nodiscard]] bool append(const NewRecord& record);
  /// Defines the next source id of this segment; nothing if there is no room.
  [[nodiscard]] std::optional<std::uint32_t> append_source(const SourceView& source);
  /// Likewise.
  [[nodiscard]] bool append_gap(const Gap& gap, GapRoom room = GapRoom::last);
  /// Whose numbers the records have that follow in this segment. False, and nothing written, if there is no room.
  [[nodiscard]] bool append_numbers(const Numbering& numbering);
  /// Always fits, once. Nothing may follow.
  void seal(std::uint64_t next_index);

  /// Ends the batch. True: all that was appended is where readers find it, with WriteMethod::dax also durable. False: a
  /// store or write has failed, for good; nothing of this batch counts, and the owner has to abandon() the segment.
  [[nodiscard]] bool flush();
  /// Why flush() said false.
  [[nodiscard]] const Error& failure() const { return output_.failure(); }
  /// After a failed flush(): takes back what was appended since the last good one, in the file too as far as that is
  /// still possible. position(), next_sequence() and trailer() are those of that flush. Whatever is appended behind it
  /// finds no room, until start(); seal() must not be called.
  void abandon();

  /// Lets go of the segment, which its owner may destroy then; what is asked of it stays known. Nothing may follow.
  void close() {
    end_ = room_end_ = 0;
    output_.close();
  }

  /// What is known of the log before the first segment this writes: trailers say whether times are in order.
  void follow(const TimeOrder& before) { order_ = before; }

  /// Durable position to be written into the next CHECKPOINT frames.
  void set_durable(LogPosition durable) { durable_ = durable; }

  [[nodiscard]] bool started() const { return output_.is_open(); }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] LogPosition position() const { return LogPosition::of(index_, offset_); }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  [[nodiscard]] std::uint64_t segment_bytes() const { return segment_bytes_; }
  /// What the next record has to have, if it follows on.
  [[nodiscard]] std::uint64_t next_sequence() const { return next_sequence_; }
  [[nodiscard]] std::uint64_t record_count() const { return records_; }
  [[nodiscard]] std::int64_t last_time_ns() const { return last_time_; }
  /// What seal_segment() needs later. Valid after seal().
  [[nodiscard]] FileTrailer trailer() const;

 private:
  /// What a flush settles: a failed one behind it falls back to this.
  struct Mark {
    std::uint64_t offset = 0;
    std::uint64_t next_sequence = 1;
    std::uint64_t records = 0;
    std::uint64_t last_source_offset = 0;
    std::uint64_t last_index_offset = 0;
    std::int64_t time_min = 0;
    std::int64_t time_max = 0;
  };

  /// Room for a frame that leaves the reserve alone.
  [[nodiscard]] bool room_for(std::uint64_t frame_bytes) {
    return offset_ + frame_bytes <= room_end_ || make_room(frame_bytes, kReserveBytes);
  }
  [[nodiscard]] bool make_room(std::uint64_t frame_bytes, std::uint64_t reserve);
  [[nodiscard]] std::uint64_t place_for(std::uint64_t frame_bytes) const;
  [[nodiscard]] std::uint64_t block_head_bytes(std::uint64_t block) const;
  void begin_block();
  void write_index();
  void write_frame(FrameType type, std::uint32_t source, std::span<const std::byte> payload,
                   std::span<const std::byte> text = {}, std::span<const std::byte> more_text = {});
  void publish_frame(std::uint64_t at, const FrameHeader& header, std::uint32_t length, std::uint32_t crc);
  std::int64_t clamp(std::int64_t time_ns);
  [[nodiscard]] Mark mark() const;

  static const std::uint64_t kReserveBytes;

  FrameOutput output_;
  std::uint64_t offset_ = 0;
  std::uint64_t room_end_ =
      0;                   ///< a frame that ends here or before needs no look at blocks, reserve or window
  std::uint64_t end_ = 0;  ///< end of the frames area
  std::uint32_t salt_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::int64_t last_time_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t last_source_offset_ = 0;
  std::uint32_t next_source_ = 0;
  LogPosition durable_;
  IndexEntries index_entries_;
  std::uint64_t last_index_offset_ = 0;
  TimeOrder order_;  ///< of the segments before; ordered_since is already this one's

  std::uint64_t index_ = 0;
  std::uint64_t segment_bytes_ = 0;
  Uuid uuid_{};
  std::uint64_t first_sequence_ = 1;
  std::int64_t time_min_ = 0;
  std::int64_t time_max_ = 0;
  Mark settled_;  ///< as of the last good flush
};

}  // namespace fastlogd::segment
