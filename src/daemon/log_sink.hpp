// Where the daemon's own log goes: stderr, through spdlog.
#pragma once

#include <cstdint>
#include <string>

#include "base/diagnostics.hpp"

namespace fastlogd::daemon {

enum class LogStyle : std::uint8_t {
  timestamped,  ///< "2026-11-22T23:24:02.123+00:00 warning: text", for people
  prioritized,  ///< "<4>text", for the journal, which stamps by itself (sd-daemon(3))
};

/// prioritized if stderr is the very stream that JOURNAL_STREAM names (systemd.exec(5)): the variable alone is
/// inherited by programs whose stderr leads elsewhere.
[[nodiscard]] LogStyle choose_log_style();

/// Binds diag:: to stderr. Before any thread starts.
void install_log_sink(LogStyle style);

}  // namespace fastlogd::daemon
