#include "wire/syslog.hpp"

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "record/timestamp.hpp"
#include "wire/syslog_headers.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::int64_t kSecondsPerWeek = std::int64_t{7} * 86400;

ParsedMessage keep_raw(std::uint8_t flags, Priority priority = {}) {
  ParsedMessage raw;
  raw.priority = priority;
  raw.flags.bits = flags;
  return raw;
}

/// `<0>` .. `<191>` at the front of `message`: the bytes it takes, 0 if it is none.
std::size_t parse_priority(std::string_view message, Priority& priority) {
  unsigned value = 0;
  std::size_t at = 1;
  for (; at < message.size() && at <= 3 && message[at] >= '0' && message[at] <= '9'; ++at) {
    value = value * 10 + static_cast<unsigned>(message[at] - '0');
  }
  const bool leading_zero = at > 2 && message[1] == '0';
  if (at == 1 || at >= message.size() || message[at] != '>' || value > kPriorityMax || leading_zero) return 0;
  priority.value = static_cast<std::uint8_t>(value);
  return at + 1;
}

}  // namespace

ParseContext::ParseContext(std::int64_t now_ns, std::int32_t utc_offset_seconds, bool host_expected)
    : utc_offset_seconds_(utc_offset_seconds),
      latest_seconds_(now_ns / kNanosPerSecond + utc_offset_seconds + kSecondsPerWeek),
      latest_year_(civil_time(latest_seconds_).year),
      host_expected_(host_expected) {}

ParsedMessage parse_message(std::string_view message, MessageFormat format, const ParseContext& context) {
  if (const auto flags = kept_whole(message, format)) return keep_raw(flags->bits);
  ParsedMessage parsed;
  const std::size_t header = parse_priority(message, parsed.priority);
  if (header == 0) return keep_raw(RecordFlags::kMalformed);
  if (looks_like_rfc5424(message, header)) {
    if (parse_rfc5424(message, header, context, parsed)) return parsed;
    return keep_raw(RecordFlags::kMalformed, parsed.priority);
  }
  parse_rfc3164(message, header, context, parsed);
  return parsed;
}

}  // namespace fastlogd::wire
