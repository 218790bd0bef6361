// The reload transaction: everything that may fail is prepared, then everything takes effect, or nothing does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config_counters.hpp"
#include "config/reloader.hpp"
#include "daemon/streams.hpp"
#include "ingest/front_end.hpp"
#include "metrics/registry.hpp"

namespace fastlogd::daemon {

/// What a reload came to, for the control socket and the log.
struct ReloadResult {
  bool ok = true;
  bool nothing_new = false;  ///< the watch saw the bytes it had seen before
  std::uint64_t generation = 1;
  std::vector<std::string> changes;         ///< in force now: "limits.connections_max: 4096 -> 8192"
  std::vector<std::string> restart_needed;  ///< likewise, but only a restart brings them
  std::vector<std::string> problems;        ///< not ok: "file:line:column: what"
};

/// Main thread.
class Reload {
 public:
  /// Everything outlives the Reload.
  Reload(config::Reloader& reloader, const config::ConfigCounters& counters, ingest::FrontEnd& front_end,
         Streams& streams, metrics::Registry& metrics);

  /// Reads, prepares, commits, logs, and keeps the service manager informed.
  ReloadResult run(config::Trigger trigger);
  /// Reads and judges; changes nothing.
  [[nodiscard]] ReloadResult dry_run() const;
  /// "generation 3, 1 stream, 4 listeners": for STATUS=.
  [[nodiscard]] std::string summary() const;

 private:
  [[nodiscard]] Result<> apply(const config::Config& next);
  [[nodiscard]] ReloadResult describe(const config::ReloadOutcome& outcome) const;

  config::Reloader& reloader_;
  const config::ConfigCounters& counters_;
  ingest::FrontEnd& front_end_;
  Streams& streams_;
  metrics::Registry& metrics_;
};

/// Adds the counters that listeners got since the last call.
void register_listeners(const ingest::FrontEnd& front_end, metrics::Registry& metrics);

/// "unix-stream" and so on, as in the configuration.
[[nodiscard]] std::string transport_label(ingest::ListenerTransport transport);

}  // namespace fastlogd::daemon
