// What the kernel dropped of a UDP socket's datagrams before anybody could read them.
#pragma once

#include <cstdint>

namespace fastlogd::ingest {

/// SO_RXQ_OVFL comes with a datagram and says how many had been dropped when that one was queued; SO_MEMINFO
/// says how many have been dropped now (both: one 32-bit total since the socket was made; socket(7),
/// linux/sock_diag.h). The first is the older: a smaller total than the last one seen is no news, whatever
/// the order.
class DropMeter {
 public:
  /// `baseline`: what was lost before this daemon took the socket over is not its loss to report.
  explicit DropMeter(std::uint32_t baseline = 0) : last_(baseline) {}

  /// How many more than last time. The total wraps at 2^32; differences are taken modulo that.
  [[nodiscard]] std::uint32_t advance(std::uint32_t total) {
    const auto more = static_cast<std::int32_t>(total - last_);
    if (more <= 0) return 0;
    last_ = total;
    return static_cast<std::uint32_t>(more);
  }

 private:
  std::uint32_t last_;
};

/// SO_MEMINFO's total; 0 if the socket won't tell.
[[nodiscard]] std::uint32_t kernel_drop_total(int fd);

}  // namespace fastlogd::ingest
