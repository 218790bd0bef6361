// Syslog severity and facility (RFC 5424 section 6.2.1) and their names as logger(1) and journalctl(1) spell
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fastlogd {

enum class Severity : std::uint8_t { emerg, alert, crit, err, warning, notice, info, debug };

/// facility * 8 + severity, 0..191, as in <PRI>.
struct Priority {
  std::uint8_t value = 14;  // user.info, what a raw line gets

  [[nodiscard]] Severity severity() const { return static_cast<Severity>(value & 7); }
  [[nodiscard]] unsigned facility() const { return value >> 3; }
  friend auto operator<=>(const Priority&, const Priority&) = default;
};

inline constexpr unsigned kPriorityMax = 191;  // 23 facilities and 7 severities

[[nodiscard]] std::string_view severity_name(Severity severity);
/// "kern" .. "local7"; "facility N" never: values come from a checked Priority, above 23 is "unknown".
[[nodiscard]] std::string_view facility_name(unsigned facility);
/// Accepts names, journalctl's and syslog's aliases (error, warn, panic) and digits 0..7.
[[nodiscard]] std::optional<Severity> parse_severity(std::string_view text);
[[nodiscard]] std::optional<unsigned> parse_facility(std::string_view text);

}  // namespace fastlogd
