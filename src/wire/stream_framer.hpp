// Splits the bytes of one connection into messages, in place. Walk: the bytes lie in a ring's reserved span,
// a FramedMessage names a slice of them.
//
// Two framings exist in the wild (RFC 6587): octet counting ("37 <13>Nov 22 ...") and a delimiter. A
// connection counts octets only if it starts with `[1-9][0-9]{0,6} <`: real log lines do begin with digits
// and a space. Otherwise the first LF or NUL seen is the connection's delimiter and the other byte is content
// (glibc and Python end a message of a stream socket with NUL). CR is always content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fastlogd::wire {

enum class FramingMode : std::uint8_t { automatic, lines, octet_counting };

/// One message: `bytes` bytes from `offset` of the span handed to split() or finish(). Delimiter and octet
/// count are not part of it. An empty line is an empty message.
struct FramedMessage {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  bool truncated =
      false;  ///< longer than record_bytes_max, or its octet count promised more than the stream held
  bool malformed = false;  ///< what stood where an octet count was due: keep it as a raw record
};

enum class FrameError : std::uint8_t {
  none,
  bad_octet_count,  ///< no `[1-9][0-9]{0,6} ` where one was due; the connection can't be read any further
};

struct FrameResult {
  std::size_t consumed = 0;  ///< bytes done with; what follows begins the next call's span
  std::size_t messages = 0;  ///< entries of `out` that were filled
  FrameError error = FrameError::none;
};

/// One per connection, owned by its io thread. Never allocates, never copies, keeps no bytes: the caller puts
/// the unconsumed tail in front of the next read. That tail is at most unfinished_bytes_max() long after
/// split() returned with room left in `out`, because a longer message is emitted cut and its rest is skipped
/// as it comes.
class StreamFramer {
 public:
  StreamFramer(FramingMode mode, std::size_t record_bytes_max);

  /// `bytes`: the unconsumed tail of the last call, then what was read since. Fills `out` from its front and
  /// stops when it is full: call again with what is left. Cost is linear in new bytes, whatever sizes they
  /// come in. On an error the last entry of `out` is the offending bytes (malformed) and everything is
  /// consumed.
  [[nodiscard]] FrameResult split(std::string_view bytes, std::span<FramedMessage> out);

  /// The stream has ended with `rest` unconsumed: the end ends a record. Call it, like split(), until it
  /// consumes everything; `out` must not be empty.
  [[nodiscard]] FrameResult finish(std::string_view rest, std::span<FramedMessage> out);

  /// Live-changeable; holds from the next message on.
  void set_record_bytes_max(std::size_t bytes) { record_bytes_max_ = bytes; }

  /// The longest tail a caller has to keep: an octet count and a message that may still turn out not too
  /// long.
  [[nodiscard]] std::size_t unfinished_bytes_max() const { return record_bytes_max_ + kCountBytesMax + 1; }

  /// What the connection turned out to speak; automatic until its first bytes have decided.
  [[nodiscard]] FramingMode mode() const { return mode_; }
  /// The delimiter in lines mode, '\n' or '\0'; -1 until one has been seen.
  [[nodiscard]] int delimiter() const { return delimiter_; }
  /// Inside a message that was cut, of a sender that has sent no delimiter yet and may never do.
  [[nodiscard]] bool skips_without_end() const { return skip_line_ && delimiter_ < 0; }

 private:
  static constexpr std::size_t kCountBytesMax = 8;  // seven digits and the space

  class Output;
  bool decide(std::string_view bytes, bool ended);
  std::size_t split_lines(std::string_view bytes, Output& out);
  std::size_t split_counted(std::string_view bytes, Output& out);
  bool find_delimiter(std::string_view bytes);
  std::size_t keep_unfinished_line(std::string_view bytes, std::size_t at, Output& out);

  std::size_t record_bytes_max_;
  std::size_t scanned_ = 0;     // bytes of the unfinished tail known to hold no delimiter
  std::size_t skip_bytes_ = 0;  // octet counting: left of a message that was cut
  int delimiter_ = -1;
  FramingMode mode_;
  bool skip_line_ = false;    // lines: inside a message that was cut
  bool skip_filler_ = false;  // one NUL after LF (lines) or one LF after a counted message is not content
};

}  // namespace fastlogd::wire
