#include "ctl/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/units.hpp"
#include "ctl/output.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::int64_t kRedrawNs = 100 * kNanosPerMilli;
constexpr std::size_t kBarMin = 10;

/// format_bytes keeps exact powers; a moving number reads better with one digit behind the point.
std::string rounded_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}B", bytes) : fmt::format("{:.1f}{}", bytes, kUnits[unit]);
}

}  // namespace

ProgressBar::ProgressBar(std::string label) : label_(std::move(label)), started_ns_(monotonic_ns()) {
  const Terminal terminal = Terminal::of(STDERR_FILENO);
  if (terminal.is_terminal) columns_ = terminal.columns;
}

void ProgressBar::update(std::uint64_t done, std::uint64_t all) {
  if (columns_ == 0) return;
  const std::int64_t now = monotonic_ns();
  if (now - drawn_ns_ < kRedrawNs) return;
  drawn_ns_ = now;
  const double seconds = static_cast<double>(now - started_ns_) / kNanosPerSecond;
  fmt::print(stderr, "\r{}\x1b[K", render_progress(label_, done, all, seconds, columns_));
  std::fflush(stderr);
}

void ProgressBar::finish() {
  if (drawn_ns_ == 0) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ns_ = 0;
}

std::string render_progress(const std::string& label, std::uint64_t done, std::uint64_t all, double seconds,
                            unsigned columns) {
  const double share = all == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string numbers =
      fmt::format("{:3.0f}% {} of {}", std::floor(share * 100), rounded_bytes(static_cast<double>(done)),
                  rounded_bytes(static_cast<double>(all)));
  if (rate > 0) {
    const double left = std::max(0.0, static_cast<double>(all) - static_cast<double>(done)) / rate;
    numbers += fmt::format(" {}/s {}", rounded_bytes(rate),
                           format_duration(std::chrono::seconds(static_cast<std::int64_t>(std::ceil(left)))));
    numbers += " left";
  }
  const std::size_t taken = label.size() + numbers.size() + 5;  // spaces, brackets, the last column
  if (columns < taken + kBarMin) return fmt::format("{} {}", label, numbers);
  const std::size_t width = columns - taken;
  const auto full = static_cast<std::size_t>(share * static_cast<double>(width));
  std::string bar(full, '=');
  if (full < width) bar += '>';
  bar.resize(width, ' ');
  return fmt::format("{} [{}] {}", label, bar, numbers);
}

}  // namespace fastlogd::ctl
