// How long things took, in little memory and with percentiles.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fastlogd::ctl {

/// Nanoseconds in buckets of a sixteenth of a power of two: a percentile is at most 6.25 % above the true one.
class LatencyHistogram {
 public:
  void add(std::int64_t nanos, std::uint64_t times = 1) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(nanos, 0));
    counts_[bucket_of(value)] += times;
    total_ += times;
    max_ = std::max(max_, value);
  }
  [[nodiscard]] std::uint64_t count() const { return total_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  /// The value below or at which this share (0..1) lies; 0 if there is none.
  [[nodiscard]] std::uint64_t percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_) + 0.999999);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return std::min(upper_end(i), max_);
    }
    return 0;
  }

 private:
  static constexpr unsigned kSubBits = 4;
  static constexpr std::uint64_t kSub = 1 << kSubBits;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSub) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return static_cast<std::size_t>(kSub * shift + (value >> shift));
  }
  static std::uint64_t upper_end(std::size_t bucket) {
    if (bucket < kSub) return bucket;
    const std::uint64_t shift = bucket / kSub - 1;
    return ((bucket % kSub + kSub + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kSub * 61> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace fastlogd::ctl
