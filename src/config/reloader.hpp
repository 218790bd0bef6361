// Decides what a look at the files means: nothing, a refusal, or a candidate to apply. The daemon applies it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config_counters.hpp"
#include "config/diff.hpp"
#include "config/load.hpp"

namespace fastlogd::config {

/// Why the files are looked at. The watch stays silent over bytes it has seen; a person who asks gets an
/// answer.
enum class Trigger : std::uint8_t { watch, request };

struct ReloadOutcome {
  enum class Kind : std::uint8_t {
    unchanged,  ///< watch only: the same bytes as last time; nothing was counted
    refused,    ///< counted as a failure; `problems` say why
    ready,      ///< prepare `candidate`, then call committed() or failed()
  };

  Kind kind = Kind::unchanged;
  std::vector<Problem> problems;
  std::vector<Change> changes;              ///< from what runs to what the files say
  std::shared_ptr<const Config> candidate;  ///< what shall run: live changes only (merge_live)

  [[nodiscard]] bool ok() const { return kind != Kind::refused; }
};

/// Main thread only. Order of a reload:
///   1. reload(trigger) reads and checks; the outcome is `ready` with a candidate, or over.
///   2. The daemon prepares everything that may fail: binds, opens, creates.
///   3. It publishes the candidate and calls committed(), or throws the preparation away and calls failed().
/// A second reload() before 3 replaces the first.
class Reloader {
 public:
  /// `started` is the configuration the daemon runs; it must be ok(). `counters` outlive the reloader.
  Reloader(std::string main_path, const Loaded& started, MissingFile missing, ConfigCounters& counters);

  [[nodiscard]] ReloadOutcome reload(Trigger trigger);

  /// The same look at the files without any effect: for `fastlogctl reload --dry-run`.
  [[nodiscard]] ReloadOutcome dry_run() const;

  /// The last candidate is in force now.
  void committed();
  /// The last candidate could not be prepared; what ran before still runs.
  void failed(std::string_view reason);

  [[nodiscard]] const std::shared_ptr<const Config>& running() const { return running_; }
  /// What the last good files say and only a restart will bring.
  [[nodiscard]] const std::vector<Change>& waiting_for_restart() const { return waiting_for_restart_; }
  /// Why the last reload did not happen; empty when it did. One problem per line.
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] const std::string& main_path() const { return main_path_; }

 private:
  [[nodiscard]] ReloadOutcome judge(Loaded loaded) const;
  void count_failure(std::string reason);

  std::string main_path_;
  MissingFile missing_;
  ConfigCounters& counters_;
  std::shared_ptr<const Config> running_;
  std::shared_ptr<const Config> candidate_;  ///< between reload() and committed() or failed()
  std::vector<Change> candidate_changes_;
  std::vector<Change> waiting_for_restart_;
  Sources last_seen_;
  std::string last_error_;
};

}  // namespace fastlogd::config
