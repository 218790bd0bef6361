// Is the daemon alive and well, and if not, why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fastlogd::daemon {

/// What is judged; plain values, so that a test can make any of them.
struct Condition {
  struct Stream {
    std::string name;
    bool store_failed = false;    ///< and nothing has become durable since
    std::string prepare_error;    ///< why no further segment can be prepared; empty: one can
    bool active_removed = false;  ///< the file being written has no name any more
    bool text_failing = false;
    std::int64_t sync_seconds = 0;      ///< how long a sync has been under way; 0: none is
    std::uint64_t fail_overs = 0;       ///< failures that were overcome
    std::uint64_t unknown_records = 0;  ///< stored, and perhaps not on disk, because of them
    std::uint64_t damage_found = 0;     ///< by the last start: damage, missing segments
  };
  std::vector<Stream> streams;
  std::vector<std::string> stalled_threads;
  std::vector<std::string> listeners_without_file;  ///< nobody new finds their sockets
  std::uint64_t generation = 1;
  std::uint64_t reloads_applied = 0;
  std::uint64_t reloads_refused = 0;
  std::string config_error;             ///< why the last reload was refused; empty if it was not
  std::size_t waiting_for_restart = 0;  ///< changed keys that only a restart brings
};

/// `alive` is what an orchestrator restarts by: false only when a restart can help. The reasons say everything that is
/// not as it should be.
struct Health {
  bool alive = true;
  std::vector<std::string> reasons;

  [[nodiscard]] const char* word() const { return !alive ? "failed" : reasons.empty() ? "ok" : "degraded"; }
};

[[nodiscard]] Health judge(const Condition& condition);

/// The body of /healthz: the word, the reasons, then the configuration in force, a line each.
[[nodiscard]] std::string health_page(const Condition& condition);

}  // namespace fastlogd::daemon
