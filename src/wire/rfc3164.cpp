// RFC 3164 describes what was seen in the wild in 2001; this reads what is seen now. logger(1) 2.38 writes on
// a Unix socket
// `<13>Nov 22 23:05:01 root[12]: text`, with --rfc3164 and over the network `<13>Nov 22 23:05:01 host root:
// text`; Python's SysLogHandler writes `<11>text`.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/limits.hpp"
#include "record/timestamp.hpp"
#include "wire/syslog_headers.hpp"

namespace fastlogd::wire {
namespace {

constexpr int kLeapYearsBack = 8;  // two 29ths of February are at most eight years apart

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "Jan" .. "Dec" in any case -> 1..12, 0 for anything else.
unsigned parse_month(const char* at) {
  const auto code = [](char a, char b, char c) {
    return static_cast<std::uint32_t>(a | 0x20) << 16 | static_cast<std::uint32_t>(b | 0x20) << 8 |
           static_cast<std::uint32_t>(c | 0x20);
  };
  constexpr std::string_view kNames = "janfebmaraprmayjunjulaugsepoctnovdec";
  const std::uint32_t wanted = code(at[0], at[1], at[2]);
  unsigned month = 1;
  for (std::size_t name = 0; name < kNames.size(); name += 3, ++month) {
    if (wanted == code(kNames[name], kNames[name + 1], kNames[name + 2])) return month;
  }
  return 0;
}

/// "22", " 2", or a lone "2" at `at`. Returns the bytes read, 0 if there is no day.
std::size_t parse_day(std::string_view text, std::size_t at, unsigned& day) {
  if (text.size() < at + 3) return 0;
  if (text[at] == ' ' && is_digit(text[at + 1])) {
    day = static_cast<unsigned>(text[at + 1] - '0');
    return 2;
  }
  if (!is_digit(text[at])) return 0;
  day = static_cast<unsigned>(text[at] - '0');
  if (!is_digit(text[at + 1])) return 1;
  day = day * 10 + static_cast<unsigned>(text[at + 1] - '0');
  return 2;
}

/// The latest year in which the date exists and is at most a week ahead.
std::int64_t infer_year(CivilTime time, const ParseContext& context) {
  for (int back = 0; back <= kLeapYearsBack + 1; ++back) {
    time.year = context.latest_year() - back;
    if (!time.valid()) continue;
    const std::int64_t seconds = time.utc_seconds();
    if (seconds <= context.latest_seconds()) {
      return to_time_ns(seconds - context.utc_offset_seconds(), time.nanosecond);
    }
  }
  return kNoTime;
}

/// `Nov 22 23:05:01`, `Nov  2 ...`, `Nov 2 ...`, `Nov 22 2026 23:05:01`, any with a fraction.
std::size_t parse_classic_time(std::string_view text, const ParseContext& context, std::int64_t& time_ns) {
  if (text.size() < 14 || text[3] != ' ') return 0;
  CivilTime time;
  time.month = parse_month(text.data());
  if (time.month == 0) return 0;
  std::size_t at = 4;
  const std::size_t day_bytes = parse_day(text, at, time.day);
  at += day_bytes;
  if (day_bytes == 0 || text[at] != ' ') return 0;
  ++at;
  bool has_year = false;
  if (text.size() > at + 5 && text[at + 4] == ' ') {
    const unsigned century = two_digits(&text[at]);
    const unsigned year = two_digits(&text[at + 2]);
    if (century > 99 || year > 99) return 0;
    time.year = static_cast<int>(century * 100 + year);
    has_year = true;
    at += 5;
  }
  const std::size_t time_bytes = parse_time_of_day(text.substr(at), time);
  if (time_bytes == 0 || time.day > 31 || time.day == 0) return 0;
  if (has_year && !time.valid()) return 0;
  time_ns = has_year ? to_time_ns(time.utc_seconds() - context.utc_offset_seconds(), time.nanosecond)
                     : infer_year(time, context);
  return at + time_bytes;
}

/// Steps over a timestamp and one space at `at`; false, and nothing moved, if there is none.
bool parse_timestamp(std::string_view message, std::size_t& at, const ParseContext& context,
                     std::int64_t& time_ns) {
  const std::string_view rest = message.substr(at);
  if (rest.empty()) return false;
  const std::size_t used = is_digit(rest[0]) ? parse_rfc3339(rest, context.utc_offset_seconds(), time_ns)
                                             : parse_classic_time(rest, context, time_ns);
  if (used == 0 || (used < rest.size() && rest[used] != ' ')) {
    time_ns = kNoTime;
    return false;
  }
  at = std::min(message.size(), at + used + 1);
  return true;
}

constexpr std::size_t kWordBytesMax =
    std::max(limits::kHostBytesMax, limits::kIdentifierBytesMax + limits::kProcidBytesMax + 3);

/// The bytes from `at` up to a space or the end; empty if that is further than any host or tag may reach.
std::string_view word_at(std::string_view message, std::size_t at) {
  const std::string_view window = message.substr(at, kWordBytesMax + 1);
  const void* const space = window.empty() ? nullptr : std::memchr(window.data(), ' ', window.size());
  if (space == nullptr) return window.size() > kWordBytesMax ? std::string_view{} : window;
  return window.substr(0, static_cast<std::size_t>(static_cast<const char*>(space) - window.data()));
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

/// `tag:` or `tag[pid]:`, the whole word. The rule of journald's syslog_parse_identifier.
bool parse_tag(std::string_view word, ParsedMessage& into) {
  if (word.size() < 2 || word.back() != ':') return false;
  std::string_view identifier = word.substr(0, word.size() - 1);
  std::string_view procid;
  if (identifier.back() == ']') {
    const std::size_t bracket = identifier.rfind('[');
    if (bracket == 0) return false;
    if (bracket != std::string_view::npos) {
      procid = identifier.substr(bracket + 1, identifier.size() - bracket - 2);
      identifier = identifier.substr(0, bracket);
    }
  }
  if (identifier.size() > limits::kIdentifierBytesMax || procid.size() > limits::kProcidBytesMax ||
      !is_printable(word)) {
    return false;
  }
  into.identifier = identifier;
  into.procid = procid;
  return true;
}

constexpr std::string_view kHostPunctuation = ".-_:%/@";

/// Letters, digits and what addresses and syslog-ng's host chains are made of.
bool is_host(std::string_view word) {
  return !word.empty() && word.size() <= limits::kHostBytesMax &&
         std::all_of(word.begin(), word.end(), [](char c) {
           const char lower = static_cast<char>(c | 0x20);
           return is_digit(c) || (lower >= 'a' && lower <= 'z') ||
                  kHostPunctuation.find(c) != std::string_view::npos;
         });
}

/// Steps over HOSTNAME and the tag behind it, or HOSTNAME alone where the sender must have written one.
void parse_host(std::string_view message, std::string_view host, std::size_t& at, bool host_expected,
                ParsedMessage& into) {
  const std::size_t behind = at + host.size() + 1;
  if (behind > message.size() || !is_host(host)) return;
  const std::string_view tag = word_at(message, behind);
  const bool tagged = parse_tag(tag, into);
  if (!tagged && !host_expected) return;
  into.host = host;
  at = tagged ? std::min(message.size(), behind + tag.size() + 1) : behind;
}

}  // namespace

void parse_rfc3164(std::string_view message, std::size_t at, const ParseContext& context,
                   ParsedMessage& into) {
  const std::size_t begin = at;
  if (message.substr(at).starts_with(kByteOrderMark))
    at += kByteOrderMark.size();  // Python 2 wrote it before the tag
  const std::size_t header = at;
  const bool timed = parse_timestamp(message, at, context, into.sender_time_ns);
  const std::string_view word = word_at(message, at);
  if (parse_tag(word, into)) {
    at = std::min(message.size(), at + word.size() + 1);
  } else if (timed) {
    parse_host(message, word, at, context.host_expected(), into);
  }
  if (at == header) at = begin;  // no header at all: the mark belongs to the message
  into.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc3164);
  into.slice_offset = static_cast<std::uint32_t>(at);
  start_message(message, at, into);
}

}  // namespace fastlogd::wire
