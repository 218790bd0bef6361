#include "daemon/health.hpp"

#include <fmt/format.h>

namespace fastlogd::daemon {

Health judge(const Condition& condition) {
  Health health;
  for (const std::string& thread : condition.stalled_threads) {
    health.alive = false;
    health.reasons.push_back(fmt::format("thread {}: no duty cycle is completed any more", thread));
  }
  for (const Condition::Stream& stream : condition.streams) {
    if (stream.store_failed) {
      // The segment is lost for good, the next process starts with a new one.
      health.alive = false;
      health.reasons.push_back(fmt::format("stream {}: a sync or store has failed for good", stream.name));
    }
    if (stream.disk_full) {
      health.reasons.push_back(fmt::format("stream {}: no space for another segment", stream.name));
    }
    if (stream.text_failing) {
      health.reasons.push_back(
          fmt::format("stream {}: the text file falls behind, an error is in its way", stream.name));
    }
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
