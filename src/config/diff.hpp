// What changed between two configurations, and what of it a running daemon can take on.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace fastlogd::config {

enum class Applies : std::uint8_t { live, needs_restart };

/// One key, or one listener or stream as a whole when it came or went.
struct Change {
  std::string path;  ///< "streams.main.retention.bytes_max"
  std::string from;  ///< as one would write it in the file; empty: was not there
  std::string to;    ///< empty: is gone
  Applies applies = Applies::live;
  friend bool operator==(const Change&, const Change&) = default;
};

/// Every key of a configuration in the file's notation, sorted by path. Texts differ exactly when values do.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> flatten(const Config& config);

/// Sorted by path; empty exactly when the two are equal. A listener needs a restart when the stream it feeds
/// does.
[[nodiscard]] std::vector<Change> diff(const Config& from, const Config& to);

/// "streams.main.retention.bytes_max: 8GiB -> 16GiB" and, where it holds, " (needs a restart)".
[[nodiscard]] std::string format_change(const Change& change);

/// What a daemon that runs `running` shall run next when `wanted` was loaded: `wanted` for live keys,
/// `running` for keys that need a restart. Streams stay those that run; listeners that feed a stream not yet
/// running stay as they were, or out.
[[nodiscard]] Config merge_live(const Config& running, const Config& wanted);

}  // namespace fastlogd::config
