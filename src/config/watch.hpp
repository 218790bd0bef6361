// Notices that the configuration's files may have changed, and says when to read them again.
//
// Editors write in place or rename over, Kubernetes swaps a link two directories away, people delete and
// re-create whole directories. So not files but the directories that hold them, and links to them, are watched, by events
// that mean "something is finished" (a close after writing, a name that came, went or was exchanged), never
// IN_MODIFY, which would fire in the middle of a write. What happened is not looked at: after a quiet time, in which no
// file may change its looks either (the event may have been another file's), everything is resolved and read again. What
// inotify(7) cannot see (network file systems, a bind mount put on top, a watch it had no memory for) a look by stat(2)
// finds every few seconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/watch_set.hpp"

namespace fastlogd::config {

inline constexpr std::int64_t kQuietNs = 100'000'000;  ///< after the last event (product.md)
inline constexpr std::int64_t kQuietWaitMaxNs =
    2'000'000'000;  ///< a directory that never rests can't hold us off
inline constexpr std::int64_t kLookIntervalNs = 5'000'000'000;  ///< the fallback's rhythm (product.md)

/// Main thread only; starts no thread and never waits. All times are monotonic_ns(). Usage:
///   wait for fd() to become readable or for next_deadline_ns(); on the first call on_readable(), then always
///   `if (watcher.on_time(now)) reloader.reload(Trigger::watch)`.
class Watcher {
 public:
  /// Begins to watch; whoever reads the files for the first time does it after this, or a change may be
  /// missed.
  [[nodiscard]] static Result<Watcher> create(const std::string& main_path, std::int64_t now_ns);

  [[nodiscard]] int fd() const { return inotify_.get(); }

  /// Takes all waiting events; an event starts the quiet time, or starts it anew.
  void on_readable(std::int64_t now_ns);

  /// True: read the files now. Everything that can change from here on will be noticed.
  [[nodiscard]] bool on_time(std::int64_t now_ns);

  /// When on_time() wants to be called next, at the latest.
  [[nodiscard]] std::int64_t next_deadline_ns() const;

  /// The directories under watch, sorted; for tests and `status`.
  [[nodiscard]] std::vector<std::string> directories() const;

 private:
  Watcher(UniqueFd inotify, std::string main_path)
      : inotify_(std::move(inotify)), main_path_(std::move(main_path)) {}

  [[nodiscard]] bool is_unchanged_since(const std::vector<FileLook>& looks);
  void note_change(std::int64_t now_ns);
  [[nodiscard]] bool take_events(const char* begin, const char* end, std::int64_t now_ns);
  /// Watches what the path leads through now. A swap meanwhile is caught by resolving again until nothing
  /// moved.
  void arm(std::int64_t now_ns);
  void watch_exactly(const std::set<std::string>& directories);

  UniqueFd inotify_;
  std::string main_path_;
  std::map<int, std::string> watched_;          ///< watch descriptor -> directory
  std::vector<FileLook> looks_;                 ///< when the files were read last
  std::vector<FileLook> seen_;                  ///< when the quiet time began
  std::optional<std::int64_t> first_event_ns_;  ///< of the changes not yet acted on
  std::int64_t last_event_ns_ = 0;
  std::int64_t next_look_ns_ = 0;
};

}  // namespace fastlogd::config
