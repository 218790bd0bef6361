// What a stream's files say without a daemon: its segments and its ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {

struct SegmentFacts {
  std::uint64_t index = 0;
  /// sealed, recovered, damaged (by the trailer); active, ready (a daemon's); unsealed, unreadable.
  std::string_view state;
  std::uint64_t file_bytes = 0;
  std::uint64_t disk_bytes = 0;          ///< blocks in use
  std::optional<std::uint64_t> records;  ///< known when there is a trailer
  std::uint64_t first_sequence = 0;      ///< 0, like the three below: not known, or no record
  std::uint64_t last_sequence = 0;
  std::int64_t first_time_ns = 0;
  std::int64_t last_time_ns = 0;
  std::uint64_t epoch = 0;
};

/// Ascending by index.
[[nodiscard]] Result<std::vector<SegmentFacts>> list_segment_facts(const Stream& stream);

struct StreamFacts {
  bool live = false;  ///< a daemon holds it open
  std::uint64_t segments = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t first_sequence = 0;  ///< 0: no record
  std::uint64_t last_sequence = 0;
  std::int64_t first_time_ns = 0;
  std::int64_t last_time_ns = 0;
};

/// A stream nobody has written yet has no facts but that. Fails if this user may not read it.
[[nodiscard]] Result<StreamFacts> stream_facts(const Stream& stream);

}  // namespace fastlogd::ctl
