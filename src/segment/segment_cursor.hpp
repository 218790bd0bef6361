// A place inside one segment: its frames in order, and the sources they refer to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/frame_scan.hpp"
#include "segment/log_reader.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {

/// What views into a segment that is read through a mapping point at. Only the cursor changes it, and only by adding
/// sources: whoever holds it may read what its views point at from any thread.
struct SegmentHold {
  std::shared_ptr<const Mapping> mapping;
  std::unordered_map<std::uint32_t, StoredSource> sources;  ///< nodes of the map stay put
};

/// Used by one thread. Frames and records it gives out are views that live until its next call.
class SegmentCursor {
 public:
  [[nodiscard]] static Result<SegmentCursor> open(FileSystem& files, const std::string& directory,
                                                  std::uint64_t index, Access access);

  /// The next frame that ends at or before `limit`. Learns SOURCE frames as they come by.
  [[nodiscard]] FrameStatus next(std::uint64_t limit, FrameView& frame);
  /// Makes a DATA frame a record, its source looked up. False: the frame contradicts itself.
  [[nodiscard]] bool record_of(const FrameView& frame, RecordView& record) const;

  /// Stands at the first frame of the block that holds `offset`, knowing every source defined before it.
  [[nodiscard]] Result<> seek_block(std::uint64_t offset);
  /// Stands at `offset`, which must be where a frame begins or ends; checked by walking there from the
  /// block's start.
  [[nodiscard]] Result<> seek(std::uint64_t offset);
  /// Stands at a frame that frame_at() has found valid, knowing the sources up to the SOURCE frame at
  /// `last_source_offset`: numbers are never used twice, so one further on knows all that came before.
  [[nodiscard]] Result<> stand_at(std::uint64_t offset, std::uint64_t last_source_offset) {
    offset_ = offset;
    return learn_chain(last_source_offset);
  }
  /// Back to a frame that this cursor has given out.
  void return_to(std::uint64_t offset) { offset_ = offset; }

  /// Offsets of the DATA and GAP frames between the start of the block that ends at or holds `end` and `end`.
  [[nodiscard]] Result<std::vector<std::uint64_t>> frames_before(std::uint64_t end);
  /// Where the segment's last used block begins; `limit` as in next().
  [[nodiscard]] std::uint64_t last_block(std::uint64_t limit);
  /// Number of the segment's first record, as its OPEN frame says or, if that is damaged, its trailer. Nothing:
  /// the segment was prepared and never used.
  [[nodiscard]] std::optional<std::uint64_t> first_sequence();
  /// The first frame of the block at `block`, if it is valid.
  [[nodiscard]] bool peek_block(std::uint64_t block, std::uint64_t limit, FrameView& frame);

  /// The frame at `offset`, wherever the trailer says that the segment ends. The cursor doesn't move.
  [[nodiscard]] FrameStatus frame_at(std::uint64_t offset, std::uint64_t limit, FrameView& frame);

  [[nodiscard]] std::uint64_t index() const { return header_.index; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] const FileHeader& header() const { return header_; }
  /// End of the frames that may be read: what the trailer vouches for, else the whole area.
  [[nodiscard]] std::uint64_t end_offset() const {
    return trailer_ ? trailer_->end_offset : frames_end(header_.segment_bytes);
  }
  [[nodiscard]] const std::optional<FileTrailer>& trailer() const { return trailer_; }
  /// Reads the trailer again (a segment is sealed or recovered behind a reader's back) and forgets buffered
  /// bytes.
  void refresh();
  /// How much is read at a time from here on; little is right for a few frames here and there.
  void read_ahead(std::size_t bytes) { bytes_.read_ahead(bytes); }
  [[nodiscard]] int fd() const { return bytes_.fd(); }
  /// As of SegmentBytes.
  void recheck() { bytes_.recheck(); }
  [[nodiscard]] const std::shared_ptr<SegmentHold>& hold() const { return hold_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  SegmentCursor() = default;
  void learn(const FrameView& frame);
  [[nodiscard]] const SourceView& source_of(std::uint32_t number) const;
  [[nodiscard]] Result<> learn_chain(std::uint64_t last_source_offset);

  FileSystem* files_ = nullptr;
  FileHeader header_{};
  std::optional<FileTrailer> trailer_;
  SegmentBytes bytes_;
  std::uint32_t salt_ = 0;
  std::uint64_t offset_ = kHeaderBytes;
  std::shared_ptr<SegmentHold> hold_ = std::make_shared<SegmentHold>();
  mutable SourceView last_source_;
  mutable std::optional<std::uint32_t> last_source_number_;
  Error error_;
};

}  // namespace fastlogd::segment
