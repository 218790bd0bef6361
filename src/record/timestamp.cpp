#include "record/timestamp.hpp"

#include <array>

#include "base/clock.hpp"
#include "record/record_view.hpp"

namespace fastlogd {
namespace {

constexpr std::size_t kDateBytes = 10;      // 2026-11-22
constexpr std::size_t kTimeOfDayBytes = 8;  // 23:05:01
constexpr std::int64_t kSecondsPerDay = 86400;

/// Reads `Z`, `+01:00` or `+0100`; nothing leaves `offset_seconds` alone. False: neither.
bool parse_zone(std::string_view text, std::size_t& at, std::int64_t& offset_seconds) {
  if (at == text.size()) return true;
  const char sign = text[at];
  if (sign == 'Z' || sign == 'z') {
    offset_seconds = 0;
    ++at;
    return true;
  }
  if (sign != '+' && sign != '-') return true;
  const std::size_t colon = text.size() > at + 3 && text[at + 3] == ':' ? 1 : 0;
  if (text.size() < at + 5 + colon) return false;
  const unsigned hours = two_digits(&text[at + 1]);
  const unsigned minutes = two_digits(&text[at + 3 + colon]);
  if (hours > 23 || minutes > 59) return false;
  const std::int64_t seconds = std::int64_t{hours} * 3600 + std::int64_t{minutes} * 60;
  offset_seconds = sign == '-' ? -seconds : seconds;
  at += 5 + colon;
  return true;
}

}  // namespace

bool CivilTime::valid() const {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  return date.ok() && hour <= 23 && minute <= 59 && second <= 60;
}

std::int64_t CivilTime::utc_seconds() const {
  const std::chrono::sys_days date =
      std::chrono::year_month_day{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  return std::int64_t{date.time_since_epoch().count()} * kSecondsPerDay + std::int64_t{hour} * 3600 +
         std::int64_t{minute} * 60 + second;
}

CivilTime civil_time(std::int64_t utc_seconds) {
  std::int64_t days = utc_seconds / kSecondsPerDay;
  std::int64_t left = utc_seconds % kSecondsPerDay;
  if (left < 0) {
    left += kSecondsPerDay;
    --days;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  return CivilTime{.year = static_cast<int>(date.year()),
                   .month = static_cast<unsigned>(date.month()),
                   .day = static_cast<unsigned>(date.day()),
                   .hour = static_cast<unsigned>(left / 3600),
                   .minute = static_cast<unsigned>(left / 60 % 60),
                   .second = static_cast<unsigned>(left % 60),
                   .nanosecond = 0};
}

std::size_t parse_time_of_day(std::string_view text, CivilTime& into) {
  if (text.size() < kTimeOfDayBytes || text[2] != ':' || text[5] != ':') return 0;
  into.hour = two_digits(&text[0]);
  into.minute = two_digits(&text[3]);
  into.second = two_digits(&text[6]);
  into.nanosecond = 0;
  if (into.hour > 23 || into.minute > 59 || into.second > 60) return 0;
  if (text.size() == kTimeOfDayBytes || text[kTimeOfDayBytes] != '.') return kTimeOfDayBytes;
  std::size_t at = kTimeOfDayBytes + 1;
  std::uint32_t unit = 100'000'000;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    into.nanosecond += static_cast<std::uint32_t>(text[at] - '0') * unit;
    unit /= 10;
  }
  return at == kTimeOfDayBytes + 1 ? 0 : at;  // a dot needs a digit
}

std::size_t parse_rfc3339(std::string_view text, std::int64_t utc_offset_seconds, std::int64_t& time_ns) {
  if (text.size() < kDateBytes + 1 + kTimeOfDayBytes || text[4] != '-' || text[7] != '-' ||
      (text[kDateBytes] != 'T' && text[kDateBytes] != 't')) {
    return 0;
  }
  const unsigned century = two_digits(&text[0]);
  const unsigned year = two_digits(&text[2]);
  if (century > 99 || year > 99) return 0;
  CivilTime time{.year = static_cast<int>(century * 100 + year),
                 .month = two_digits(&text[5]),
                 .day = two_digits(&text[8])};
  const std::size_t time_bytes = parse_time_of_day(text.substr(kDateBytes + 1), time);
  if (time_bytes == 0 || !time.valid()) return 0;
  std::size_t at = kDateBytes + 1 + time_bytes;
  if (!parse_zone(text, at, utc_offset_seconds)) return 0;
  time_ns = to_time_ns(time.utc_seconds() - utc_offset_seconds, time.nanosecond);
  return at;
}

std::int64_t to_time_ns(std::int64_t utc_seconds, std::uint32_t nanosecond) {
  constexpr std::int64_t kFirst = -9'214'560'000;  // 1678-01-01
  constexpr std::int64_t kLast = 9'214'646'400;    // 2262-01-01
  if (utc_seconds < kFirst || utc_seconds >= kLast) return kNoTime;
  return utc_seconds * kNanosPerSecond + nanosecond;
}

}  // namespace fastlogd
