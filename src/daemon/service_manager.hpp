// What the daemon tells systemd, and what systemd hands it. Without systemd every call does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/front_end.hpp"

namespace fastlogd::daemon {

/// sd_notify(3). Main thread.
void notify_ready(std::string_view status);
/// Followed by notify_ready() whatever becomes of the reload: systemd waits for it.
void notify_reloading();
void notify_stopping();
void notify_alive();

/// How often notify_alive() is expected at least (WatchdogSec=); nothing if nobody watches.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_period();

/// The sockets systemd bound for us, with their FileDescriptorName= (sd_listen_fds_with_names(3)); what is not a
/// socket is closed and named in the log. The environment variables are removed: children get none of this.
[[nodiscard]] std::vector<ingest::InheritedSocket> take_inherited_sockets();

}  // namespace fastlogd::daemon
