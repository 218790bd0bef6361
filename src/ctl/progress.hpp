// A progress bar on stderr, on a terminal only.
#pragma once

#include <cstdint>
#include <string>

namespace fastlogd::ctl {

/// Shows share done, bytes, rate and the time left; redrawn at most ten times a second, wiped at the end.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { finish(); }

  void update(std::uint64_t done, std::uint64_t all);
  /// Wipes the line, so that what is printed next stands alone.
  void finish();

 private:
  std::string label_;
  unsigned columns_ = 0;  // 0: no terminal, nothing is shown
  std::int64_t started_ns_;
  std::int64_t drawn_ns_ = 0;
};

/// The bar's text without cursor movement: "label [=====>    ]  52% 1.2GiB of 2.3GiB 1.1GiB/s 1s left".
[[nodiscard]] std::string render_progress(const std::string& label, std::uint64_t done, std::uint64_t all,
                                          double seconds, unsigned columns);

}  // namespace fastlogd::ctl
