#include "wire/stream_framer.hpp"

#include <algorithm>
#include <cstring>

#include "wire/delimiter_scan.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t kCountDigitsMax = 7;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// `[1-9][0-9]{0,6} ` at the front of `bytes`.
struct OctetCount {
  enum class State : std::uint8_t { complete, unfinished, bad };
  State state = State::bad;
  std::size_t octets = 0;
  std::size_t header_bytes = 0;  // digits and space
};

OctetCount read_octet_count(std::string_view bytes) {
  OctetCount count;
  std::size_t at = 0;
  while (at < bytes.size() && at < kCountDigitsMax && is_digit(bytes[at])) {
    count.octets = count.octets * 10 + static_cast<std::size_t>(bytes[at] - '0');
    ++at;
  }
  if (at > 0 && bytes[0] == '0') return count;
  if (at == bytes.size()) {
    count.state = OctetCount::State::unfinished;
  } else if (at > 0 && bytes[at] == ' ') {
    count.state = OctetCount::State::complete;
    count.header_bytes = at + 1;
  }
  return count;
}

std::size_t without_trailing_delimiter(const char* data, std::size_t bytes) {
  return bytes > 0 && (data[bytes - 1] == '\n' || data[bytes - 1] == '\0') ? bytes - 1 : bytes;
}

}  // namespace

/// The caller's span, filled from its front.
class StreamFramer::Output {
 public:
  explicit Output(std::span<FramedMessage> to)
      : next_(to.data()), begin_(to.data()), end_(to.data() + to.size()) {}

  [[nodiscard]] bool full() const { return next_ == end_; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(next_ - begin_); }

  void emit(std::size_t offset, std::size_t bytes, bool truncated, bool malformed = false) {
    *next_++ = FramedMessage{static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes), truncated,
                             malformed};
  }
  /// As above, cut to the limit.
  void emit_bounded(std::size_t offset, std::size_t bytes, std::size_t bytes_max) {
    emit(offset, std::min(bytes, bytes_max), bytes > bytes_max);
  }

  FrameError error = FrameError::none;

 private:
  FramedMessage* next_;
  FramedMessage* begin_;
  FramedMessage* end_;
};

StreamFramer::StreamFramer(FramingMode mode, std::size_t record_bytes_max)
    : record_bytes_max_(record_bytes_max), mode_(mode) {}

FrameResult StreamFramer::split(std::string_view bytes, std::span<FramedMessage> out) {
  Output output(out);
  if (mode_ == FramingMode::automatic && !decide(bytes, false)) return {};
  const std::size_t consumed =
      mode_ == FramingMode::octet_counting ? split_counted(bytes, output) : split_lines(bytes, output);
  return {consumed, output.size(), output.error};
}

FrameResult StreamFramer::finish(std::string_view rest, std::span<FramedMessage> out) {
  if (mode_ == FramingMode::automatic && !decide(rest, true)) return {};
  FrameResult result = split(rest, out);
  Output output(out.subspan(result.messages));
  if (result.consumed == rest.size() || output.full() || result.error != FrameError::none) return result;
  const std::string_view last = rest.substr(result.consumed);
  if (mode_ == FramingMode::octet_counting) {
    const OctetCount count = read_octet_count(last);
    const bool has_text = count.state == OctetCount::State::complete && count.header_bytes < last.size();
    const std::size_t skipped = has_text ? count.header_bytes : 0;
    output.emit(result.consumed + skipped, std::min(last.size() - skipped, record_bytes_max_), has_text,
                !has_text);
  } else {
    output.emit(result.consumed, without_trailing_delimiter(last.data(), last.size()), false);
  }
  scanned_ = 0;
  return {rest.size(), result.messages + 1, FrameError::none};
}

// False: the bytes so far could still become either.
bool StreamFramer::decide(std::string_view bytes, bool ended) {
  if (bytes.empty()) return false;
  const OctetCount count = read_octet_count(bytes);
  const bool open = count.state == OctetCount::State::unfinished ||
                    (count.state == OctetCount::State::complete && count.header_bytes == bytes.size());
  if (open && !ended) return false;
  const bool counted =
      !open && count.state == OctetCount::State::complete && bytes[count.header_bytes] == '<';
  mode_ = counted ? FramingMode::octet_counting : FramingMode::lines;
  return true;
}

bool StreamFramer::find_delimiter(std::string_view bytes) {
  if (scanned_ >= bytes.size()) return false;
  const char* const from = bytes.data() + scanned_;
  std::size_t left = bytes.size() - scanned_;
  if (const void* const lf = std::memchr(from, '\n', left)) {
    delimiter_ = '\n';
    left = static_cast<std::size_t>(static_cast<const char*>(lf) - from);
  }
  if (left > 0 && std::memchr(from, '\0', left) != nullptr) delimiter_ = '\0';
  return delimiter_ >= 0;
}

// What is left of the span is an unfinished line: kept for the next read, or cut once it can't fit any more.
std::size_t StreamFramer::keep_unfinished_line(std::string_view bytes, std::size_t at, Output& out) {
  const std::size_t unfinished = bytes.size() - at;
  if (unfinished <= record_bytes_max_) {
    scanned_ = unfinished;
    return at;
  }
  out.emit(at, record_bytes_max_, true);
  skip_line_ = true;
  scanned_ = 0;
  return bytes.size();
}

std::size_t StreamFramer::split_lines(std::string_view bytes, Output& out) {
  if (delimiter_ < 0 && !find_delimiter(bytes)) {
    if (skip_line_) return bytes.size();
    return out.full() ? 0 : keep_unfinished_line(bytes, 0, out);
  }
  std::size_t at = 0;
  DelimiterScan delimiters(bytes, std::min(scanned_, bytes.size()), static_cast<char>(delimiter_));
  while (!out.full()) {
    if (skip_filler_) {
      if (at == bytes.size()) return at;
      skip_filler_ = false;
      at += bytes[at] == '\0' ? 1 : 0;
    }
    const std::size_t end = delimiters.next();
    if (end == DelimiterScan::kNone) return skip_line_ ? bytes.size() : keep_unfinished_line(bytes, at, out);
    if (!skip_line_) out.emit_bounded(at, end - at, record_bytes_max_);
    at = end + 1;
    scanned_ = 0;
    skip_line_ = false;
    skip_filler_ = delimiter_ == '\n';
  }
  return at;
}

std::size_t StreamFramer::split_counted(std::string_view bytes, Output& out) {
  std::size_t at = 0;
  while (!out.full()) {
    const std::size_t skipped = std::min(skip_bytes_, bytes.size() - at);
    at += skipped;
    skip_bytes_ -= skipped;
    if (at == bytes.size()) return at;
    if (skip_filler_) {
      skip_filler_ = false;
      at += bytes[at] == '\n' ? 1 : 0;
    }
    const OctetCount count = read_octet_count(bytes.substr(at));
    if (count.state == OctetCount::State::unfinished) return at;
    if (count.state == OctetCount::State::bad) {
      const std::size_t left = bytes.size() - at;
      out.emit(at, std::min(left, record_bytes_max_), left > record_bytes_max_, true);
      out.error = FrameError::bad_octet_count;
      return bytes.size();
    }
    const std::size_t begin = at + count.header_bytes;
    // A count one above the limit may include the trailing LF, which is not part of the message.
    const bool too_long = count.octets > record_bytes_max_ + 1;
    const std::size_t needed = too_long ? record_bytes_max_ : count.octets;
    if (bytes.size() - begin < needed) return at;
    if (too_long) {
      out.emit(begin, needed, true);
    } else {
      out.emit_bounded(begin, without_trailing_delimiter(bytes.data() + begin, needed), record_bytes_max_);
    }
    skip_bytes_ = count.octets - needed;
    at = begin + needed;
    skip_filler_ = true;
  }
  return at;
}

}  // namespace fastlogd::wire
