// The process_* metrics that every Prometheus client library exposes. Private to metrics/*.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "metrics/families.hpp"

namespace fastlogd::metrics {

/// What /proc/self/stat says, in base units (proc(5), fields 14, 15, 20, 22, 23, 24).
struct ProcessStat {
  double cpu_seconds = 0;
  double start_seconds_since_boot = 0;
  std::uint64_t threads = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
};

/// The command name in field 2 may hold spaces and parentheses. Nothing if the line is not of that shape.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view line, long ticks_per_second,
                                                            long page_bytes);

/// Appends what could be read; a system without /proc shows fewer metrics, not wrong ones.
void append_process_metrics(Families& families);

}  // namespace fastlogd::metrics
