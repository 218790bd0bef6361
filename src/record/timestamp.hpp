// Calendar time as logs write it. Hand-rolled: it runs once per record, and strptime is slow and depends on
// the locale.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fastlogd {

/// Proleptic Gregorian date and time of day without a zone.
struct CivilTime {
  int year = 1970;
  unsigned month = 1;  ///< 1..12
  unsigned day = 1;    ///< 1..31
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;  ///< 60 in a leap second
  std::uint32_t nanosecond = 0;

  /// Is there such a date, and is the time of day in range?
  [[nodiscard]] bool valid() const;
  /// Seconds since the epoch if it were UTC; it must be valid().
  [[nodiscard]] std::int64_t utc_seconds() const;
};

/// The date and time of day of seconds since the epoch, in UTC. Add an offset first for another zone.
[[nodiscard]] CivilTime civil_time(std::int64_t utc_seconds);

/// Exactly two digits at `at`, or a number over 99.
[[nodiscard]] inline unsigned two_digits(const char* at) {
  const auto tens = static_cast<unsigned char>(at[0] - '0');
  const auto ones = static_cast<unsigned char>(at[1] - '0');
  return tens > 9 || ones > 9 ? 255U : tens * 10U + ones;
}

/// Reads `hh:mm:ss[.fraction]` (any number of digits, nine count) at the front of `text`. Returns the bytes
/// read, 0 if it isn't one.
[[nodiscard]] std::size_t parse_time_of_day(std::string_view text, CivilTime& into);

/// Reads an RFC 3339 timestamp at the front of `text`, `2026-11-22T23:05:01[.fraction][Z|+01:00]`; T and Z in
/// either case, a zone without colon, or none at all: then `utc_offset_seconds` (east is positive) is the
/// zone. Returns the bytes read and sets `time_ns` to nanoseconds since the epoch, or kNoTime for a date that
/// 64 bits can't hold. Returns 0 if it isn't one. What follows is the caller's to check.
[[nodiscard]] std::size_t parse_rfc3339(std::string_view text, std::int64_t utc_offset_seconds,
                                        std::int64_t& time_ns);

/// Seconds since the epoch and nanoseconds to one number, or kNoTime where 64 bits are too few.
[[nodiscard]] std::int64_t to_time_ns(std::int64_t utc_seconds, std::uint32_t nanosecond);

}  // namespace fastlogd
