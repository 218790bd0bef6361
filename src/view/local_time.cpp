#include "view/local_time.hpp"

#include <cstring>
#include <ctime>
#include <string_view>

#include "base/clock.hpp"
#include "record/timestamp.hpp"

namespace fastlogd::view {
namespace {

constexpr std::int64_t kQuarterSeconds = 900;
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

constexpr std::int64_t floor_divide(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/// What floor_divide() leaves over. Not by multiplying back: that would overflow near the earliest time there is.
constexpr unsigned floor_rest(std::int64_t value, std::int64_t by) {
  return static_cast<unsigned>((value % by + by) % by);
}

/// `value` in exactly `digits` digits, with leading zeros; returns behind them.
char* put_digits(char* to, unsigned value, unsigned digits) {
  for (unsigned i = digits; i > 0; --i) {
    to[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return to + digits;
}

char* put_char(char* to, char c) {
  *to = c;
  return to + 1;
}

char* put_time_of_day(char* to, const CivilTime& time) {
  to = put_char(put_digits(to, time.hour, 2), ':');
  to = put_char(put_digits(to, time.minute, 2), ':');
  return put_digits(to, time.second, 2);
}

/// `2026-11-22T23:05:01`, 19 bytes: nanoseconds in 64 bits reach from the year 1677 to 2262.
char* put_date_time(char* to, const CivilTime& time) {
  to = put_char(put_digits(to, static_cast<unsigned>(time.year), 4), '-');
  to = put_char(put_digits(to, time.month, 2), '-');
  to = put_char(put_digits(to, time.day, 2), 'T');
  return put_time_of_day(to, time);
}

/// `Nov 22 23:05:01` with the day padded by a space, 15 bytes.
char* put_short(char* to, const CivilTime& time) {
  std::memcpy(to, kMonths.data() + std::size_t{3} * (time.month - 1), 3);
  to = put_char(to + 3, ' ');
  to = time.day < 10 ? put_digits(put_char(to, ' '), time.day, 1) : put_digits(to, time.day, 2);
  return put_time_of_day(put_char(to, ' '), time);
}

void put_zone(char* to, std::int64_t offset_seconds) {
  const auto minutes = static_cast<unsigned>((offset_seconds < 0 ? -offset_seconds : offset_seconds) / 60);
  to = put_char(to, offset_seconds < 0 ? '-' : '+');
  to = put_char(put_digits(to, minutes / 60, 2), ':');
  put_digits(to, minutes % 60, 2);
}

}  // namespace

void LocalTime::move_to(std::int64_t second) {
  if (second == second_) return;
  second_ = second;
  const std::int64_t quarter = floor_divide(second, kQuarterSeconds);
  if (quarter != quarter_) {
    quarter_ = quarter;
    const std::time_t when = second;
    std::tm broken_down{};
    offset_ = localtime_r(&when, &broken_down) == nullptr ? 0 : broken_down.tm_gmtoff;
  }
  const CivilTime time = civil_time(second + offset_);
  put_short(short_, time);
  put_zone(put_date_time(iso_, time), offset_);
}

void LocalTime::append_short(std::string& out, std::int64_t time_ns) {
  move_to(floor_divide(time_ns, kNanosPerSecond));
  out.append(short_, sizeof short_);
}

void LocalTime::append_precise(std::string& out, std::int64_t time_ns) {
  append_short(out, time_ns);
  char fraction[7] = {'.'};
  put_digits(fraction + 1, floor_rest(time_ns, kNanosPerSecond) / 1000, 6);
  out.append(fraction, sizeof fraction);
}

void LocalTime::append_iso(std::string& out, std::int64_t time_ns) {
  move_to(floor_divide(time_ns, kNanosPerSecond));
  out.append(iso_, sizeof iso_);
}

void append_utc(std::string& out, std::int64_t time_ns) {
  const std::int64_t second = floor_divide(time_ns, kNanosPerSecond);
  char text[30];
  char* to = put_char(put_date_time(text, civil_time(second)), '.');
  to = put_digits(to, floor_rest(time_ns, kNanosPerSecond), 9);
  put_char(to, 'Z');
  out.append(text, sizeof text);
}

}  // namespace fastlogd::view
