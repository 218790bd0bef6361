// The bytes of a segment, shared by exactly those who write and those who read them. FORMAT.md beside this
// file tells the same for people who write a reader of their own, with a worked example.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/limits.hpp"
#include "record/log_position.hpp"

namespace fastlogd::segment {

static_assert(std::endian::native == std::endian::little,
              "segments are little-endian and written as they are in memory");

using Uuid = std::array<std::uint8_t, 16>;

[[nodiscard]] Uuid random_uuid();
[[nodiscard]] std::string to_string(const Uuid& uuid);

inline constexpr std::uint64_t kHeaderBytes = limits::kPageBytes;   ///< frames begin here
inline constexpr std::uint64_t kTrailerBytes = limits::kPageBytes;  ///< the last page of the file
inline constexpr std::uint64_t kBlockBytes = limits::kFrameBlockBytes;
inline constexpr std::uint16_t kFormatMajor = 1;
inline constexpr std::uint16_t kFormatMinor = 2;
inline constexpr std::uint32_t kChecksumCrc32c = 1;

inline constexpr std::uint64_t kIndexStepBytes = 64 * limits::kKiB;  ///< one entry of an INDEX for each
inline constexpr std::uint64_t kIndexEveryBytes = 4 * kBlockBytes;   ///< where INDEX frames stand
inline constexpr std::size_t kIndexEntriesMax = kIndexEveryBytes / kIndexStepBytes;

/// Page 0, written once before the segment has its name; never changed afterwards. The rest of the page is
/// zero and its last four bytes are the CRC-32C of the 4092 before them.
struct FileHeader {
  std::array<char, 8> magic;  ///< "FLOGSEG1"
  std::uint16_t major;
  std::uint16_t minor;
  std::uint32_t header_bytes;
  std::uint32_t incompatible_flags;  ///< a reader refuses the file on a bit it does not know
  std::uint32_t compatible_flags;    ///< a writer leaves the file alone on a bit it does not know
  std::uint64_t segment_bytes;
  std::uint32_t checksum_kind;
  std::uint32_t frame_bytes_max;
  Uuid log_uuid;      ///< the same in every segment of a stream
  Uuid segment_uuid;  ///< random: the salt of every checksum in this file
  std::uint64_t index;
  std::uint64_t epoch;  ///< grows with every start of the daemon on this log
  std::int64_t created_ns;
  std::int64_t created_monotonic_ns;
  Uuid boot_id;
};
static_assert(sizeof(FileHeader) == 120);

enum class TrailerState : std::uint32_t { sealed = 1, recovered = 2, damaged = 3 };

/// The last page, written when a segment is sealed or recovered; CRC as in the header page.
struct FileTrailer {
  std::array<char, 8> magic;  ///< "FLOGEND1"
  Uuid segment_uuid;
  TrailerState state;
  std::uint32_t zero;
  std::uint64_t end_offset;  ///< behind the last valid frame
  std::uint64_t first_sequence;
  std::uint64_t last_sequence;  ///< first_sequence - 1 if there is no record
  std::uint64_t record_count;
  std::int64_t time_min_ns;  ///< 0 if there is no record
  std::int64_t time_max_ns;
  std::uint64_t last_index_offset;  ///< 0: none
  std::uint64_t last_source_offset;
  std::uint64_t ordered_since;  ///< receive times never go back from that segment's first to this one's last
                                ///< record; 0: not known (version 1.0)
};
static_assert(sizeof(FileTrailer) == 104);

/// What is known of the receive times of a log up to some segment.
struct TimeOrder {
  std::uint64_t ordered_since = 0;  ///< as in the trailer
  std::int64_t time_max_ns = 0;     ///< largest since then

  /// A segment begins whose records are not older than this.
  constexpr void begin(std::uint64_t index, std::int64_t first_time_ns) {
    if (ordered_since != 0 && first_time_ns >= time_max_ns) return;
    ordered_since = index;
    time_max_ns = 0;
  }
  /// A segment has come to its end.
  constexpr void end(const FileTrailer& trailer) {
    if (trailer.ordered_since != ordered_since) time_max_ns = 0;
    ordered_since = trailer.ordered_since;
    if (trailer.time_max_ns > time_max_ns) time_max_ns = trailer.time_max_ns;
  }
};

enum class FrameType : std::uint8_t {
  data = 1,
  source = 2,
  gap = 3,
  index = 4,
  checkpoint = 5,
  open = 6,
  seal = 7,
  pad = 8,
  numbers = 129,  ///< since 1.2
};

/// A reader skips unknown types with this bit and stops at others.
inline constexpr std::uint8_t kSkippableTypeBit = 0x80;
static_assert((static_cast<std::uint8_t>(FrameType::numbers) & kSkippableTypeBit) != 0);

/// 32 bytes, aligned to 8. `commit` is stored last: a frame whose commit word is 0 was never published.
struct FrameHeader {
  std::uint64_t commit =
      0;  ///< length (low 32 bits: header to end of payload, padding not included), CRC (high 32)
  std::uint64_t sequence = 0;  ///< dense over DATA frames; other frames carry the next one
  std::int64_t time_ns = 0;    ///< receive time, never going back within a segment
  std::uint32_t source = 0;    ///< id, defined by a SOURCE frame of the same segment
  FrameType type = FrameType::data;
  std::uint8_t flags = 0;     ///< DATA: RecordFlags
  std::uint8_t priority = 0;  ///< DATA: facility * 8 + severity
  std::uint8_t extension_words = 0;

  [[nodiscard]] std::uint32_t length() const { return static_cast<std::uint32_t>(commit); }
  [[nodiscard]] std::uint32_t crc() const { return static_cast<std::uint32_t>(commit >> 32); }
};
static_assert(sizeof(FrameHeader) == 32);

inline constexpr std::uint64_t kFrameHeaderBytes = sizeof(FrameHeader);
inline constexpr std::uint64_t kFrameBytesMax = kFrameHeaderBytes + 2048 + limits::kRecordBytesMax;
static_assert(kFrameBytesMax + kFrameHeaderBytes < kBlockBytes);

/// What a frame of `length` occupies.
[[nodiscard]] constexpr std::uint64_t padded(std::uint64_t length) {
  return (length + 7) & ~std::uint64_t{7};
}

/// End of the area for frames.
[[nodiscard]] constexpr std::uint64_t frames_end(std::uint64_t segment_bytes) {
  return segment_bytes - kTrailerBytes;
}

/// Start of the next 1 MiB block behind `offset`.
[[nodiscard]] constexpr std::uint64_t next_block(std::uint64_t offset) {
  return (offset / kBlockBytes + 1) * kBlockBytes;
}

/// The salt that goes into every checksum of a segment.
[[nodiscard]] std::uint32_t checksum_salt(const Uuid& segment_uuid);

/// Covers salt, file offset, length, the header but its commit word, and the payload with its zero padding
/// (of a PAD the header alone). `payload` must hold padded(length) - 32 bytes.
[[nodiscard]] std::uint32_t frame_checksum(std::uint32_t salt, std::uint64_t offset,
                                           const FrameHeader& header, std::span<const std::byte> payload);

/// The header but its commit word, put together in registers: building it from bytes in memory and loading words of it
/// right away would wait for the stores each time.
[[nodiscard]] constexpr std::array<std::uint64_t, 3> header_words(const FrameHeader& header) {
  return {header.sequence, static_cast<std::uint64_t>(header.time_ns),
          header.source | std::uint64_t{static_cast<std::uint8_t>(header.type)} << 32 |
              std::uint64_t{header.flags} << 40 | std::uint64_t{header.priority} << 48 |
              std::uint64_t{header.extension_words} << 56};
}

/// What the checksum covers before the payload: offset, length, and the header but its commit word.
[[nodiscard]] constexpr std::array<std::uint64_t, 5> checksum_head(std::uint64_t offset, std::uint64_t length,
                                                                   const FrameHeader& header) {
  const auto words = header_words(header);
  return {offset, length, words[0], words[1], words[2]};
}

/// The part of frame_checksum before the payload.
[[nodiscard]] std::uint32_t frame_checksum_start(std::uint32_t salt, std::uint64_t offset,
                                                 std::uint32_t length, const FrameHeader& header);

using Page = std::array<std::byte, limits::kPageBytes>;

[[nodiscard]] Page encode(const FileHeader& header);
[[nodiscard]] Page encode(const FileTrailer& trailer);

/// Why a header page is refused; empty: it is good. `what` names the first thing found wrong.
struct HeaderCheck {
  std::optional<FileHeader> header;
  std::string problem;
};
[[nodiscard]] HeaderCheck decode_header(std::span<const std::byte> page, std::uint64_t file_bytes);

/// Nothing if the page is no valid trailer of the segment with this header.
[[nodiscard]] std::optional<FileTrailer> decode_trailer(std::span<const std::byte> page,
                                                        const FileHeader& header);

/// True if every byte is zero.
[[nodiscard]] bool all_zero(std::span<const std::byte> bytes);

}  // namespace fastlogd::segment
