// Reads frames from untrusted bytes: the one place where a frame of a file becomes a trusted view.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "record/record_view.hpp"
#include "segment/format.hpp"

namespace fastlogd::segment {

/// A frame whose length, type, checksum and place have been checked. Views into the bytes it was read from.
struct FrameView {
  FrameHeader header;
  std::uint64_t offset = 0;  ///< in the file
  std::span<const std::byte> payload;

  [[nodiscard]] std::uint64_t end() const { return offset + padded(header.length()); }
  /// Header and payload as they lie there.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {payload.data() - kFrameHeaderBytes, header.length()};
  }
};

enum class FrameStatus : std::uint8_t {
  valid,
  unpublished,  ///< the commit word is zero
  short_bytes,  ///< the frame may go on behind the bytes given
  invalid,      ///< anything else: not a frame of this segment at this place
  unknown,      ///< a valid frame of a type that must not be skipped
};

/// Checks the frame at file offset `offset`, whose bytes begin at `bytes` and are all there is up to the
/// limit the caller trusts (committed position, end of the frames area).
[[nodiscard]] FrameStatus check_frame(std::span<const std::byte> bytes, std::uint64_t offset,
                                      std::uint32_t salt, FrameView& frame);

/// If fewer bytes than a frame header are left in the block, the start of the next one; else `offset`.
[[nodiscard]] inline std::uint64_t skip_block_rest(std::uint64_t offset) {
  const std::uint64_t block_end = next_block(offset);
  return block_end - offset < kFrameHeaderBytes ? block_end : offset;
}

/// Makes a DATA frame a record. The source is left to the caller. False: the extension is damaged.
[[nodiscard]] bool decode_record(const FrameView& frame, RecordView& record);

inline constexpr std::size_t kReadAheadBytes = 256 * limits::kKiB;

/// The bytes of one segment file, through a mapping or through pread into a buffer. Views live until the next
/// call; those into a mapping as long as somebody holds it.
///
/// Of a mapping, too, no byte is given out that the kernel has not been asked for first: pages are populated a window at
/// a time (MADV_POPULATE_READ, madvise(2)), so that a sector gone bad is an error here and no SIGBUS, and so is a file
/// that somebody has cut short. What is cut off after that faults all the same: nothing that fastlogd does, it unlinks
/// segments and punches what was never published.
class SegmentBytes {
 public:
  /// Takes the descriptor. `bytes` is the file's size as its checked header states it.
  [[nodiscard]] static Result<SegmentBytes> mapped(FileSystem& files, UniqueFd fd, std::uint64_t bytes);
  [[nodiscard]] static SegmentBytes buffered(FileSystem& files, UniqueFd fd, std::uint64_t bytes);

  SegmentBytes() = default;

  /// What lies from `offset` on, up to `limit` or the end of the 1 MiB block, whichever comes first.
  /// At least `wanted` bytes if the limit allows. Fails with the system's error.
  [[nodiscard]] Result<std::span<const std::byte>> from(std::uint64_t offset, std::uint64_t limit,
                                                        std::size_t wanted);

  /// As much of that as is there already, without asking the system; may be nothing. Inline: this is once a frame.
  [[nodiscard]] std::span<const std::byte> at_hand(std::uint64_t offset, std::uint64_t limit) const {
    const std::uint64_t end = std::min({limit, next_block(offset), buffer_end_});
    if (offset < buffer_start_ || offset >= end || !length_known_) return {};
    return {window_ + (offset - buffer_start_), end - offset};
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
  /// How much is read at a time from here on; through a mapping the kernel is told whether to read around a fault.
  void read_ahead(std::size_t bytes);
  /// Forgets what was buffered: unpublished bytes may have been published since. A mapping shows them by itself.
  void forget() {
    if (!mapping_) buffer_end_ = buffer_start_;
  }
  /// A mapping's file is asked for its length again before the next bytes are given out.
  void recheck() { length_known_ = !mapping_; }
  /// Whoever holds it keeps views valid. Nothing if buffered.
  [[nodiscard]] const std::shared_ptr<const Mapping>& mapping() const { return mapping_; }

 private:
  [[nodiscard]] Result<> populate(std::uint64_t offset, std::size_t wanted);
  [[nodiscard]] Result<> read(std::uint64_t offset, std::uint64_t end, std::size_t wanted);

  FileSystem* files_ = nullptr;
  UniqueFd fd_;
  std::uint64_t bytes_ = 0;
  std::shared_ptr<const Mapping> mapping_;
  bool length_known_ = true;  ///< or of no interest: what has been read stays
  std::vector<std::byte> buffer_;
  const std::byte* window_ = nullptr;  ///< the byte at buffer_start_
  std::uint64_t buffer_start_ = 0;     ///< of a mapping: what was populated
  std::uint64_t buffer_end_ = 0;
  std::size_t read_bytes_ = kReadAheadBytes;
};

}  // namespace fastlogd::segment
