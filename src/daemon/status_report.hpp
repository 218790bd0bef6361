// GET /status: what the daemon says of itself, as JSON. A stable interface (fastlogctl status --json).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/health.hpp"
#include "daemon/streams.hpp"
#include "ingest/front_end.hpp"
#include "metrics/registry.hpp"

namespace fastlogd::daemon {

struct StatusSources {
  const config::Config& config;  ///< in force
  const std::string& config_path;
  const Condition& condition;
  const std::vector<std::string>& restart_needed;
  const Streams& streams;
  const ingest::FrontEnd& front_end;
  const metrics::Registry& metrics;
  std::int64_t started_ns = 0;  ///< monotonic
};

/// Lists hold flat objects only, so that they print well; the first key is what people look for.
[[nodiscard]] std::string status_report(const StatusSources& sources);

}  // namespace fastlogd::daemon
