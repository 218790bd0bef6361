#include "base/units.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace fastlogd {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array kByteUnits{Unit{"", 1},
                                Unit{"B", 1},
                                Unit{"KiB", 1024.0},
                                Unit{"MiB", 1048576.0},
                                Unit{"GiB", 1073741824.0},
                                Unit{"TiB", 1099511627776.0},
                                Unit{"kB", 1e3},
                                Unit{"KB", 1e3},
                                Unit{"MB", 1e6},
                                Unit{"GB", 1e9},
                                Unit{"TB", 1e12}};

constexpr std::array kTimeUnits{
    Unit{"ns", 1},     Unit{"us", 1e3},   Unit{"ms", 1e6},    Unit{"s", 1e9},         Unit{"m", 60e9},
    Unit{"min", 60e9}, Unit{"h", 3600e9}, Unit{"d", 86400e9}, Unit{"w", 7 * 86400e9}, Unit{"y", 31557600e9}};

template <std::size_t N>
Result<double> parse_quantity(std::string_view text, const std::array<Unit, N>& units, std::string_view what,
                              std::string_view examples) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const bool begins_with_digit =
      text.front() >= '0' && text.front() <= '9';  // from_chars also reads "inf" and "nan"
  if (status != std::errc{} || !begins_with_digit) {
    return invalid(fmt::format("'{}' is not a {} such as {}", text, what, examples));
  }
  std::string_view name(stop, static_cast<std::size_t>(end - stop));
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name == name) return number * unit.factor;
  }
  return invalid(
      fmt::format("'{}' has an unknown unit '{}'; a {} is written like {}", text, name, what, examples));
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  if (text.empty()) return invalid("an empty text is not a size");
  const auto value = parse_quantity(text, kByteUnits, "size", "64MiB");
  if (!value) return value.error();
  if (*value > 9e18) return invalid(fmt::format("'{}' is too large", text));
  return static_cast<std::uint64_t>(std::llround(*value));
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text.empty()) return invalid("an empty text is not a duration");
  if (text == "0") return std::chrono::nanoseconds(0);
  const auto value = parse_quantity(text, kTimeUnits, "duration", "100ms, 1s or 30d");
  if (!value) return value.error();
  if (*value > 9e18) return invalid(fmt::format("'{}' is too long", text));
  return std::chrono::nanoseconds(std::llround(*value));
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // What rounds to 1024.0 belongs to the next unit.
  while (std::round(value * 10) >= 10240 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  value = std::round(value * 10) / 10;
  if (value == std::floor(value)) return fmt::format("{:.0f}{}", value, kNames[unit]);
  return fmt::format("{:.1f}{}", value, kNames[unit]);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  static constexpr std::array kShown{Unit{"d", 86400e9}, Unit{"h", 3600e9}, Unit{"m", 60e9},
                                     Unit{"s", 1e9},     Unit{"ms", 1e6},   Unit{"us", 1e3}};
  const auto ns = static_cast<double>(duration.count());
  for (const Unit& unit : kShown) {
    const double value = ns / unit.factor;
    if (value >= 1000) return fmt::format("{:.0f}{}", value, unit.name);  // "g" would print 1e+04
    if (value >= 1) return fmt::format("{:.4g}{}", value, unit.name);
  }
  return fmt::format("{}ns", duration.count());
}

}  // namespace fastlogd
