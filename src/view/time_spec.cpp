#include "view/time_spec.hpp"

#include <cctype>
#include <charconv>
#include <ctime>
#include <optional>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/units.hpp"
#include "record/record_view.hpp"
#include "record/timestamp.hpp"

namespace fastlogd::view {
namespace {

using Time = std::optional<std::int64_t>;

std::int64_t local_offset(std::int64_t utc_seconds) {
  const std::time_t when = utc_seconds;
  std::tm broken_down{};
  return localtime_r(&when, &broken_down) == nullptr ? 0 : broken_down.tm_gmtoff;
}

/// Local date and time -> nanoseconds. mktime settles hours that a change of the clocks skips or repeats.
Time from_local(const CivilTime& time) {
  std::tm broken_down{};
  broken_down.tm_year = time.year - 1900;
  broken_down.tm_mon = static_cast<int>(time.month) - 1;
  broken_down.tm_mday = static_cast<int>(time.day);
  broken_down.tm_hour = static_cast<int>(time.hour);
  broken_down.tm_min = static_cast<int>(time.minute);
  broken_down.tm_sec = static_cast<int>(time.second);
  broken_down.tm_isdst = -1;
  const std::int64_t time_ns = to_time_ns(std::mktime(&broken_down), time.nanosecond);
  return time_ns == kNoTime ? Time{} : Time{time_ns};
}

CivilTime today(std::int64_t now_ns) {
  const std::int64_t seconds = now_ns / kNanosPerSecond;
  CivilTime date = civil_time(seconds + local_offset(seconds));
  date.hour = date.minute = date.second = 0;
  return date;
}

/// now, today, yesterday, tomorrow.
Time parse_name(std::string_view text, std::int64_t now_ns) {
  if (text == "now") return now_ns;
  int days = 0;
  if (text == "yesterday") {
    days = -1;
  } else if (text == "tomorrow") {
    days = 1;
  } else if (text != "today") {
    return {};
  }
  // Noon of that day, whatever the clocks did in between, then its midnight.
  CivilTime noon = today(now_ns);
  noon.hour = 12;
  CivilTime date = civil_time(noon.utc_seconds() + days * std::int64_t{86400});
  date.hour = 0;
  return from_local(date);
}

/// `1h`, `1h30m`: durations one after the other.
Time parse_span(std::string_view text) {
  std::int64_t total = 0;
  if (text.empty()) return {};
  while (!text.empty()) {
    const std::size_t unit = text.find_first_not_of("0123456789.");
    if (unit == std::string_view::npos || unit == 0) return {};
    const std::size_t end = std::min(text.size(), text.find_first_of("0123456789", unit));
    const auto duration = parse_duration(text.substr(0, end));
    if (!duration || __builtin_add_overflow(total, std::int64_t{duration->count()}, &total)) return {};
    text.remove_prefix(end);
  }
  return total;
}

/// `-1h`, `+5m`, `2d ago`.
Time parse_relative(std::string_view text, std::int64_t now_ns) {
  constexpr std::string_view kAgo = " ago";
  bool back = false;
  if (text.ends_with(kAgo)) {
    text.remove_suffix(kAgo.size());
    back = true;
  } else if (text.starts_with('-') || text.starts_with('+')) {
    back = text.front() == '-';
    text.remove_prefix(1);
  } else {
    return {};
  }
  const Time span = parse_span(text);
  std::int64_t when = 0;
  if (!span || __builtin_add_overflow(now_ns, back ? -*span : *span, &when)) return {};
  return when;
}

/// `@1795300000`, `@1795300000.25`.
Time parse_epoch(std::string_view text) {
  if (!text.starts_with('@')) return {};
  const char* const end = text.data() + text.size();
  std::int64_t seconds = 0;
  const auto [stop, status] = std::from_chars(text.data() + 1, end, seconds);
  if (status != std::errc{} || seconds < 0) return {};
  std::uint32_t nanosecond = 0;
  if (stop != end) {
    // Let the clock's parser read the fraction.
    CivilTime time;
    const std::string fraction =
        fmt::format("00:00:00{}", std::string_view(stop, static_cast<std::size_t>(end - stop)));
    if (*stop != '.' || parse_time_of_day(fraction, time) != fraction.size()) return {};
    nanosecond = time.nanosecond;
  }
  const std::int64_t time_ns = to_time_ns(seconds, nanosecond);
  return time_ns == kNoTime ? Time{} : Time{time_ns};
}

/// `10:00` or `10:00:00[.5]`, the whole text.
bool parse_clock(std::string_view text, CivilTime& into) {
  if (text.size() == 5) {
    const std::string full = fmt::format("{}:00", text);
    return parse_time_of_day(full, into) == full.size();
  }
  return parse_time_of_day(text, into) == text.size() && !text.empty();
}

/// A date, a clock time, or both with a space or a T between, in the local zone.
Time parse_calendar(std::string_view text, std::int64_t now_ns) {
  CivilTime time = today(now_ns);
  if (parse_clock(text, time)) return from_local(time);
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return {};
  const unsigned century = two_digits(&text[0]);
  const unsigned year = two_digits(&text[2]);
  time = CivilTime{.year = static_cast<int>(century * 100 + year),
                   .month = two_digits(&text[5]),
                   .day = two_digits(&text[8])};
  if (century > 99 || year > 99 || !time.valid()) return {};
  const bool separated = text.size() > 10 && (text[10] == ' ' || text[10] == 'T' || text[10] == 't');
  if (text.size() > 10 && (!separated || !parse_clock(text.substr(11), time))) return {};
  return from_local(time);
}

/// RFC 3339 with a zone. Without one it is a local time: what the zone's offset is then, mktime knows.
Time parse_internet(std::string_view text) {
  std::int64_t as_utc = 0;
  std::int64_t elsewhere = 0;
  if (parse_rfc3339(text, 0, as_utc) != text.size() || text.empty() || as_utc == kNoTime) return {};
  const bool has_zone = parse_rfc3339(text, 3600, elsewhere) == text.size() && elsewhere == as_utc;
  return has_zone ? Time{as_utc} : Time{};
}

}  // namespace

Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_ns) {
  for (const Time& time : {parse_name(text, now_ns), parse_relative(text, now_ns), parse_epoch(text),
                           parse_internet(text), parse_calendar(text, now_ns)}) {
    if (time) return *time;
  }
  return invalid(
      fmt::format("'{}' is not a time; write now, today, yesterday, -1h, '2026-11-22 10:00:00', "
                  "2026-11-22T10:00:00Z or @1795300000",
                  text));
}

}  // namespace fastlogd::view
