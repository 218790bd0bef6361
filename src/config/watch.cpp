#include "config/watch.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "base/diagnostics.hpp"

namespace fastlogd::config {
namespace {

constexpr std::uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR;
constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
constexpr int kReadsMax = 1024;  // of one call; what is left makes fd() readable again
constexpr int kResolveMax = 8;

}  // namespace

Result<Watcher> Watcher::create(const std::string& main_path, std::int64_t now_ns) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) return errno_error("inotify_init1");
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(main_path, error);
  if (error) return Error{error, main_path};
  Watcher watcher(std::move(inotify), absolute.string());
  watcher.arm(now_ns);
  return watcher;
}

void Watcher::on_readable(std::int64_t now_ns) {
  alignas(inotify_event) std::array<char, kReadBytes> buffer;
  bool changed = false;
  for (int i = 0; i < kReadsMax; ++i) {
    const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    changed |= take_events(buffer.data(), buffer.data() + n, now_ns);
  }
  if (changed) seen_ = look_at_files(main_path_);
}

/// True: one of them says that something may have changed.
bool Watcher::take_events(const char* at, const char* end, std::int64_t now_ns) {
  bool changed = false;
  while (static_cast<std::size_t>(end - at) >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, at, sizeof event);
    at += sizeof event + event.len;
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      changed = true;  // what was lost may have been anything
      continue;
    }
    // Events of a watch given up earlier, its IN_IGNORED included, say nothing any more.
    const auto watch = watched_.find(event.wd);
    if (watch == watched_.end()) continue;
    if ((event.mask & (IN_IGNORED | IN_UNMOUNT)) != 0) watched_.erase(watch);
    changed = true;
  }
  if (changed) note_change(now_ns);
  return changed;
}

/// What they look like now is in seen_ afterwards.
bool Watcher::is_unchanged_since(const std::vector<FileLook>& looks) {
  auto now = look_at_files(main_path_);
  const bool unchanged = now == looks;
  seen_ = std::move(now);
  return unchanged;
}

void Watcher::note_change(std::int64_t now_ns) {
  if (!first_event_ns_) first_event_ns_ = now_ns;
  last_event_ns_ = now_ns;
}

bool Watcher::on_time(std::int64_t now_ns) {
  if (now_ns >= next_look_ns_) {
    next_look_ns_ = now_ns + kLookIntervalNs;
    if (!first_event_ns_ && !is_unchanged_since(looks_)) note_change(now_ns);
  }
  if (!first_event_ns_) return false;
  if (now_ns < *first_event_ns_ + kQuietWaitMaxNs) {
    if (now_ns < last_event_ns_ + kQuietNs) return false;
    if (!is_unchanged_since(seen_)) {  // without an event: somebody is in the middle of a write
      last_event_ns_ = now_ns;
      return false;
    }
  }
  first_event_ns_.reset();
  arm(now_ns);
  return true;
}

std::int64_t Watcher::next_deadline_ns() const {
  if (!first_event_ns_) return next_look_ns_;
  return std::min({last_event_ns_ + kQuietNs, *first_event_ns_ + kQuietWaitMaxNs, next_look_ns_});
}

void Watcher::arm(std::int64_t now_ns) {
  next_look_ns_ = now_ns + kLookIntervalNs;
  std::set<std::string> directories = directories_to_watch(main_path_);
  for (int i = 0; i < kResolveMax; ++i) {
    watch_exactly(directories);
    looks_ = look_at_files(main_path_);
    std::set<std::string> again = directories_to_watch(main_path_);
    if (again == directories) return;
    directories = std::move(again);
  }
  seen_ = looks_;
  note_change(now_ns);  // still moving: come back after the quiet time
}

void Watcher::watch_exactly(const std::set<std::string>& directories) {
  std::map<int, std::string> now;
  for (const std::string& directory : directories) {
    const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
    if (watch >= 0) {
      now.emplace(watch, directory);
    } else if (errno != ENOENT && errno != ENOTDIR) {
      static diag::RateLimit limit;
      limit.log(diag::Level::warning, "config: cannot watch {}: {}; it is looked at every {} s instead",
                directory, std::strerror(errno), kLookIntervalNs / kNanosPerSecond);
    }
  }
  for (const auto& [watch, directory] : watched_) {
    if (!now.contains(watch)) ::inotify_rm_watch(inotify_.get(), watch);
  }
  watched_ = std::move(now);
}

std::vector<std::string> Watcher::directories() const {
  std::vector<std::string> names;
  names.reserve(watched_.size());
  for (const auto& [watch, directory] : watched_) names.push_back(directory);
  std::ranges::sort(names);
  return names;
}

}  // namespace fastlogd::config
