// Wall-clock time in the local zone and in UTC, rendered without a C library call per record.
#pragma once

#include <cstdint>
#include <string>

namespace fastlogd::view {

/// Appends the local time of nanoseconds since the epoch. localtime_r runs once per quarter of an hour of log
/// time (no zone changes its offset more often), the date and time once per second. One per thread.
class LocalTime {
 public:
  void append_short(std::string& out, std::int64_t time_ns);    ///< `Nov 22 23:05:01`
  void append_precise(std::string& out, std::int64_t time_ns);  ///< `Nov 22 23:05:01.123456`
  void append_iso(std::string& out, std::int64_t time_ns);      ///< `2026-11-22T23:05:01+01:00`

 private:
  void move_to(std::int64_t second);

  std::int64_t second_ = INT64_MIN;   // what short_ and iso_ show
  std::int64_t quarter_ = INT64_MIN;  // what offset_ holds for
  std::int64_t offset_ = 0;           // seconds east of UTC
  char short_[15] = {};
  char iso_[25] = {};
};

/// `2026-11-22T22:05:01.123456789Z` (RFC 3339).
void append_utc(std::string& out, std::int64_t time_ns);

}  // namespace fastlogd::view
