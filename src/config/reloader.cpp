#include "config/reloader.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/conflicts.hpp"

namespace fastlogd::config {

Reloader::Reloader(std::string main_path, const Loaded& started, MissingFile missing,
                   ConfigCounters& counters)
    : main_path_(std::move(main_path)),
      missing_(missing),
      counters_(counters),
      running_(started.config),
      last_seen_(started.sources) {
  FASTLOGD_CHECK(started.ok());
  // A file that was there at start and is gone later is refused, wherever it was.
  if (!started.sources.files.front().missing) missing_ = MissingFile::refused;
  counters_.last_reload_success_time_ns.store(realtime_ns(), std::memory_order_relaxed);
}

ReloadOutcome Reloader::judge(Loaded loaded) const {
  ReloadOutcome outcome;
  if (!loaded.ok()) {
    outcome.kind = ReloadOutcome::Kind::refused;
    outcome.problems = std::move(loaded.problems);
    return outcome;
  }
  outcome.changes = diff(*running_, *loaded.config);
  Config next = merge_live(*running_, *loaded.config);
  // Both are sound, their mixture need not be: a text file may lie where a directory was that only a restart
  // moves.
  for (const Conflict& conflict : find_conflicts(next)) {
    outcome.problems.push_back(
        {main_path_, 1, 1, conflict.path + ": before a restart this can't be applied: " + conflict.message});
  }
  if (!outcome.problems.empty()) {
    outcome.kind = ReloadOutcome::Kind::refused;
    return outcome;
  }
  outcome.kind = ReloadOutcome::Kind::ready;
  outcome.candidate = std::make_shared<const Config>(std::move(next));
  return outcome;
}

ReloadOutcome Reloader::reload(Trigger trigger) {
  Sources sources = read_sources(main_path_);
  if (trigger == Trigger::watch && sources == last_seen_) return {};
  last_seen_ = sources;
  if (!sources.files.front().missing) missing_ = MissingFile::refused;

  ReloadOutcome outcome = judge(load_sources(std::move(sources), missing_));
  candidate_ = outcome.candidate;
  candidate_changes_ = outcome.changes;
  if (outcome.kind == ReloadOutcome::Kind::refused) count_failure(format_problems(outcome.problems));
  return outcome;
}

ReloadOutcome Reloader::dry_run() const {
  return judge(load(main_path_, missing_));
}

void Reloader::committed() {
  FASTLOGD_CHECK(candidate_ != nullptr);
  running_ = std::exchange(candidate_, nullptr);
  waiting_for_restart_.clear();
  std::ranges::copy_if(candidate_changes_, std::back_inserter(waiting_for_restart_),
                       [](const Change& change) { return change.applies == Applies::needs_restart; });
  last_error_.clear();
  counters_.reload_success.add();
  counters_.generation.fetch_add(1, std::memory_order_relaxed);
  counters_.last_reload_success_time_ns.store(realtime_ns(), std::memory_order_relaxed);
  counters_.last_reload_successful.store(true, std::memory_order_release);
}

void Reloader::failed(std::string_view reason) {
  FASTLOGD_CHECK(candidate_ != nullptr);
  candidate_ = nullptr;
  count_failure(std::string(reason));
}

void Reloader::count_failure(std::string reason) {
  last_error_ = std::move(reason);
  counters_.reload_failure.add();
  counters_.last_reload_successful.store(false, std::memory_order_release);
}

}  // namespace fastlogd::config
