// What the configuration says of the daemon itself.
#pragma once

#include <string>

#include "base/diagnostics.hpp"

namespace fastlogd::daemon {

struct DiagnosticsOptions {
  diag::Level level = diag::Level::info;  ///< live-changeable
  friend bool operator==(const DiagnosticsOptions&, const DiagnosticsOptions&) = default;
};

struct DaemonOptions {
  std::string runtime_directory = "/run/fastlogd";  ///< needs a restart
  DiagnosticsOptions diagnostics;
  friend bool operator==(const DaemonOptions&, const DaemonOptions&) = default;
};

}  // namespace fastlogd::daemon
