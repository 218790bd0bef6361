#include "metrics/process_metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "metrics/families.hpp"

namespace fastlogd::metrics {
namespace {

std::string read_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The boot time in seconds since the epoch (proc(5), /proc/stat "btime").
std::optional<std::uint64_t> boot_time_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("btime ")) continue;
    std::uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(line.data() + 6, line.data() + line.size(), seconds);
    if (error == std::errc{}) return seconds;
  }
  return std::nullopt;
}

std::uint64_t open_descriptors() {
  struct Closer {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, Closer> directory(::opendir("/proc/self/fd"));
  if (!directory) return 0;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the descriptor of the listing itself
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view line, long ticks_per_second, long page_bytes) {
  constexpr int kFirstField = 3;  // the state, right behind ") "
  constexpr int kLastField = 24;
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos || ticks_per_second <= 0 || page_bytes <= 0) return std::nullopt;
  std::uint64_t fields[kLastField + 1] = {};
  const char* at = line.data() + name_end + 1;
  const char* const end = line.data() + line.size();
  for (int field = kFirstField; field <= kLastField; ++field) {
    while (at != end && *at == ' ') ++at;
    if (at == end) return std::nullopt;
    // Some fields before those we want are letters or negative; they read as 0.
    std::from_chars(at, end, fields[field]);
    while (at != end && *at != ' ') ++at;
  }
  const auto ticks = static_cast<double>(ticks_per_second);
  return ProcessStat{
      .cpu_seconds = static_cast<double>(fields[14] + fields[15]) / ticks,
      .start_seconds_since_boot = static_cast<double>(fields[22]) / ticks,
      .threads = fields[20],
      .virtual_bytes = fields[23],
      .resident_bytes = fields[24] * static_cast<std::uint64_t>(page_bytes),
  };
}

void append_process_metrics(Families& families) {
  const auto add = [&](Family family, auto value) {
    family.sample({}, value);
    std::move(family).append_to(families);
  };
  const auto stat =
      parse_process_stat(read_line("/proc/self/stat"), ::sysconf(_SC_CLK_TCK), ::sysconf(_SC_PAGESIZE));
  if (stat) {
    add(Family::counter("process_cpu_seconds_total", "User and system CPU time spent."), stat->cpu_seconds);
    add(Family::gauge("process_resident_memory_bytes", "Resident memory."), stat->resident_bytes);
    add(Family::gauge("process_virtual_memory_bytes", "Virtual memory."), stat->virtual_bytes);
    add(Family::gauge("process_threads", "Threads of the process."), stat->threads);
    if (const auto boot = boot_time_seconds()) {
      add(Family::gauge("process_start_time_seconds", "Start time since the epoch."),
          static_cast<double>(*boot) + stat->start_seconds_since_boot);
    }
  }
  add(Family::gauge("process_open_fds", "Open file descriptors."), open_descriptors());
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add(Family::gauge("process_max_fds", "Most file descriptors the process may open."), limit.rlim_cur);
  }
}

}  // namespace fastlogd::metrics
