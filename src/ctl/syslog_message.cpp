#include "ctl/syslog_message.hpp"

#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "view/local_time.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::size_t kNanoDigitsTooMany = 3;  // RFC 5424 section 6.2.3 allows six

void append_rfc5424(std::string& out, const MessageHeader& header, std::int64_t now_ns) {
  fmt::format_to(std::back_inserter(out), "<{}>1 ", header.priority.value);
  view::append_utc(out, now_ns);
  out.erase(out.size() - 1 - kNanoDigitsTooMany, kNanoDigitsTooMany);
  fmt::format_to(std::back_inserter(out), " {} {} {} - - ", header.host.empty() ? "-" : header.host,
                 header.tag.empty() ? "-" : header.tag, header.pid.empty() ? "-" : header.pid);
}

void append_rfc3164(std::string& out, const MessageHeader& header, std::int64_t now_ns) {
  static thread_local view::LocalTime local_time;
  fmt::format_to(std::back_inserter(out), "<{}>", header.priority.value);
  local_time.append_short(out, now_ns);
  out += ' ';
  out += header.tag;
  if (!header.pid.empty()) fmt::format_to(std::back_inserter(out), "[{}]", header.pid);
  out += ": ";
}

}  // namespace

Result<Priority> parse_priority(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value <= kPriorityMax) {
    return Priority{static_cast<std::uint8_t>(value)};
  }
  const std::size_t dot = text.find('.');
  const auto facility =
      dot == std::string_view::npos ? parse_facility("user") : parse_facility(text.substr(0, dot));
  const auto severity = parse_severity(dot == std::string_view::npos ? text : text.substr(dot + 1));
  if (!facility || !severity) {
    return invalid(
        fmt::format("not a priority: {} (try local0.err, err, or a number up to {})", text, kPriorityMax));
  }
  return Priority{static_cast<std::uint8_t>(*facility * 8 + static_cast<unsigned>(*severity))};
}

void append_message(std::string& out, const MessageHeader& header, std::string_view text,
                    std::int64_t now_ns) {
  if (header.format == MessageFormat::rfc5424) append_rfc5424(out, header, now_ns);
  if (header.format == MessageFormat::rfc3164) append_rfc3164(out, header, now_ns);
  out += text;
}

}  // namespace fastlogd::ctl
