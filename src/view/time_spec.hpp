// Points in time as people type them behind -S/--since and -U/--until.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace fastlogd::view {

/// Nanoseconds since the epoch. Without a zone the local one is meant.
///
///   now  today  yesterday  tomorrow                    (the days: at 00:00)
///   -1h  -90m  -1h30m  +5m  "2d ago"                    from now; units as in base/units.hpp
///   2026-11-22  "2026-11-22 10:00"  "2026-11-22 10:00:00.5"  10:00  10:00:00 (today)
///   2026-11-22T10:00:00Z  2026-11-22T10:00:00.123+01:00  (RFC 3339)
///   @1795300000  @1795300000.25                          seconds since the epoch
///
/// Anything else is an error that names the text and shows examples.
[[nodiscard]] Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_ns);

}  // namespace fastlogd::view
