// The thing that travels: one log record, as a view.
#pragma once

#include <cstdint>
#include <string_view>

#include "record/priority.hpp"
#include "record/source.hpp"

namespace fastlogd {

/// How the bytes of a record are to be read.
enum class RecordFormat : std::uint8_t {
  raw,      ///< the whole message as it came
  rfc3164,  ///< the text after the tag and one space
  rfc5424,  ///< from STRUCTURED-DATA to the end
};

/// Flags of a record, the same bits in the ring and in a segment's frame.
struct RecordFlags {
  static constexpr std::uint8_t kFormatMask = 0x03;  ///< a RecordFormat
  static constexpr std::uint8_t kTruncated = 0x04;   ///< the message was longer than the limit
  static constexpr std::uint8_t kMalformed = 0x08;   ///< began like syslog but could not be parsed; kept raw
  static constexpr std::uint8_t kStoredMask = 0x0f;  ///< what may stand in a segment

  std::uint8_t bits = 0;

  [[nodiscard]] RecordFormat format() const { return static_cast<RecordFormat>(bits & kFormatMask); }
  [[nodiscard]] bool truncated() const { return (bits & kTruncated) != 0; }
  [[nodiscard]] bool malformed() const { return (bits & kMalformed) != 0; }
};

inline constexpr std::int64_t kNoTime = INT64_MIN;  ///< the sender gave no (usable) time

/// Dense over the records of a stream; the first record of a stream is 1.
struct Sequence {
  std::uint64_t value = 0;
  friend auto operator<=>(const Sequence&, const Sequence&) = default;
};

/// One stored record. Every view points into the segment (or a reader's buffer) and lives as the reader says.
struct RecordView {
  Sequence sequence;
  std::int64_t receive_time_ns = 0;       ///< when the daemon took it, ns since the epoch
  std::int64_t sender_time_ns = kNoTime;  ///< what the sender claims, ns since the epoch
  Priority priority;
  RecordFlags flags;
  SourceView source;
  std::string_view slice;  ///< the contiguous bytes that were kept of what arrived
  std::uint32_t message_start =
      0;                    ///< offset in `slice` where the message begins (after structured data and BOM)
  std::string_view procid;  ///< RFC 5424 PROCID or the pid in an RFC 3164 tag; empty if none
  std::string_view msgid;   ///< RFC 5424 MSGID; empty if none

  [[nodiscard]] std::string_view message() const { return slice.substr(message_start); }
  /// RFC 5424 STRUCTURED-DATA as sent; "" if there is none or it is "-".
  [[nodiscard]] std::string_view structured_data() const;
};

}  // namespace fastlogd
