#include "daemon/health.hpp"

#include <fmt/format.h>

namespace fastlogd::daemon {
namespace {

constexpr std::int64_t kLongSync = 10;  // seconds

void judge_durability(const Condition::Stream& stream, Health& health) {
  if (stream.store_failed) {
    // Neither a new segment nor waiting has helped so far; a new process looks at the disk afresh.
    health.alive = false;
    health.reasons.push_back(
        fmt::format("stream {}: a sync or a store has failed; nothing is durable since then", stream.name));
  } else if (stream.fail_overs > 0) {
    health.reasons.push_back(
        fmt::format("stream {}: {} of its segments failed to sync, {} records may not be on disk; the disk "
                    "needs a look",
                    stream.name, stream.fail_overs, stream.unknown_records));
  }
  if (stream.sync_seconds >= kLongSync) {
    // Alive: a new process would wait for the same disk, and the records that come meanwhile are taken.
    health.reasons.push_back(
        fmt::format("stream {}: a sync has been under way for {} s; nothing becomes durable meanwhile",
                    stream.name, stream.sync_seconds));
  }
}

void judge_files(const Condition::Stream& stream, Health& health) {
  if (stream.damage_found > 0) {
    health.reasons.push_back(
        fmt::format("stream {}: the last start found damage or missing segments ({} lines of its log say "
                    "which); fastlogctl gaps names what is lost",
                    stream.name, stream.damage_found));
  }
  if (!stream.prepare_error.empty()) {
    health.reasons.push_back(
        fmt::format("stream {}: no further segment can be prepared: {}", stream.name, stream.prepare_error));
  }
  if (stream.active_removed) {
    health.reasons.push_back(
        fmt::format("stream {}: the file being written was removed or renamed; what is stored now is lost "
                    "when the daemon ends",
                    stream.name));
  }
  if (stream.text_failing) {
    health.reasons.push_back(
        fmt::format("stream {}: the text file falls behind, an error is in its way", stream.name));
  }
}

}  // namespace

Health judge(const Condition& condition) {
  Health health;
  for (const std::string& thread : condition.stalled_threads) {
    health.alive = false;
    health.reasons.push_back(fmt::format("thread {}: no duty cycle is completed any more", thread));
  }
  for (const Condition::Stream& stream : condition.streams) {
    judge_durability(stream, health);
    judge_files(stream, health);
  }
  for (const std::string& listener : condition.listeners_without_file) {
    health.reasons.push_back(
        fmt::format("listener {}: its socket file is gone; a reload opens it again", listener));
  }
  if (!condition.config_error.empty()) {
    health.reasons.push_back(
        fmt::format("configuration: the last reload was refused: {}",
                    condition.config_error.substr(0, condition.config_error.find('\n'))));
  }
  return health;
}

std::string health_page(const Condition& condition) {
  const Health health = judge(condition);
  std::string page = fmt::format("{}\n", health.word());
  for (const std::string& reason : health.reasons) page += reason + "\n";
  page += fmt::format("configuration generation {}, {} reloads applied, {} refused", condition.generation,
                      condition.reloads_applied, condition.reloads_refused);
  if (condition.waiting_for_restart > 0) {
    page += fmt::format(", {} for a restart",
                        condition.waiting_for_restart == 1
                            ? "1 change waits"
                            : fmt::format("{} changes wait", condition.waiting_for_restart));
  }
  return page + "\n";
}

}  // namespace fastlogd::daemon
