// RFC 5424 and RFC 3164 headers, as real senders write them. Everything returned is a view into the message.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "record/record_view.hpp"

namespace fastlogd::wire {

enum class MessageFormat : std::uint8_t {
  automatic,  ///< syslog if it starts with <PRI>, else raw
  syslog,     ///< a message without <PRI> is kept raw and flagged malformed
  raw,        ///< the whole message, never looked at
};

/// What a header leaves out, taken from the receiver. Make one per batch, not per message: the constructor
/// works out the year.
class ParseContext {
 public:
  /// `now_ns`: receive time. `utc_offset_seconds`: the zone of timestamps that name none (east is positive).
  /// `host_expected`: RFC 3164 from the network has HOSTNAME behind the timestamp even where no tag follows;
  /// on a Unix socket glibc and logger(1) leave it out, so there a word counts as host only if a tag stands
  /// behind it.
  ParseContext(std::int64_t now_ns, std::int32_t utc_offset_seconds, bool host_expected);

  [[nodiscard]] std::int64_t utc_offset_seconds() const { return utc_offset_seconds_; }
  [[nodiscard]] bool host_expected() const { return host_expected_; }
  /// The latest moment a timestamp without a year may mean, a week from now: seconds in that zone, and their
  /// year.
  [[nodiscard]] std::int64_t latest_seconds() const { return latest_seconds_; }
  [[nodiscard]] int latest_year() const { return latest_year_; }

 private:
  std::int64_t utc_offset_seconds_;
  std::int64_t latest_seconds_;
  int latest_year_;
  bool host_expected_;
};

/// Views point into the message and are empty where the header has none (or "-"). Lengths keep
/// base/limits.hpp.
struct ParsedMessage {
  Priority priority;
  RecordFlags flags;                ///< RecordFormat and kMalformed; kTruncated is the framer's to add
  std::uint32_t slice_offset = 0;   ///< the kept slice is message.substr(slice_offset)
  std::uint32_t message_start = 0;  ///< relative to the slice
  std::int64_t sender_time_ns = kNoTime;
  std::string_view host;
  std::string_view identifier;  ///< APP-NAME or the tag
  std::string_view procid;      ///< PROCID or the pid in the tag's brackets; lies before the slice
  std::string_view msgid;
};

/// Most lines of a log file bear no header. What a glance at the first two bytes says: the flags of a message that
/// parse_message() would keep whole and raw; nothing if it has to be parsed.
[[nodiscard]] inline std::optional<RecordFlags> kept_whole(std::string_view message, MessageFormat format) {
  if (format == MessageFormat::raw) return RecordFlags{};
  if (message.size() >= 2 && message[0] == '<' && message[1] >= '0' && message[1] <= '9') return std::nullopt;
  return RecordFlags{format == MessageFormat::syslog ? RecordFlags::kMalformed : std::uint8_t{0}};
}

/// Never fails: what can't be parsed is kept whole.
///
/// PRI is `<` 0..191 `>` without leading zeros. `<` and a digit that go on otherwise are malformed; `<html>`
/// is raw. A malformed message is kept whole as raw text; its severity is that of its PRI if that was sound.
///
/// `<PRI>1 ` followed by a timestamp or "- " is RFC 5424: every field must keep its limit and structured data
/// must be well-formed, or the message is malformed. A header that leaves out STRUCTURED-DATA altogether
/// (Heroku's drains) is taken. Up to nine digits of fraction, a zone without colon, and none at all are
/// taken.
///
/// Anything else behind a PRI is read like RFC 3164: TIMESTAMP (classic, with a year or a fraction, or RFC
/// 3339), HOSTNAME and `tag[pid]: ` are each optional. A tag ends with a colon and then a space or the end,
/// as in journald; one that is too long is text. The year is the latest that puts the timestamp at most a
/// week ahead of now.
[[nodiscard]] ParsedMessage parse_message(std::string_view message, MessageFormat format,
                                          const ParseContext& context);

}  // namespace fastlogd::wire
