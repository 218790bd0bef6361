// What the configuration says of the daemon itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/diagnostics.hpp"

namespace fastlogd::daemon {

/// Who may ask for profiles of the running daemon.
enum class ProfilingAccess : std::uint8_t {
  off,
  control,  ///< whoever may use the control socket
  http,     ///< and whoever reaches the HTTP port
};

/// Live-changeable, all of it.
struct DiagnosticsOptions {
  diag::Level level = diag::Level::info;
  ProfilingAccess profiling = ProfilingAccess::off;
  friend bool operator==(const DiagnosticsOptions&, const DiagnosticsOptions&) = default;
};

struct DaemonOptions {
  std::string runtime_directory = "/run/fastlogd";  ///< needs a restart
  DiagnosticsOptions diagnostics;
  friend bool operator==(const DaemonOptions&, const DaemonOptions&) = default;
};

}  // namespace fastlogd::daemon
