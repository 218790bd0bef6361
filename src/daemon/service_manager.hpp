// What the daemon tells systemd, and what systemd hands it. Without systemd every call does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "ingest/front_end.hpp"
#include "ingest/ring_keeper.hpp"

namespace fastlogd::daemon {

/// sd_notify(3). Main thread.
void notify_ready(std::string_view status);
/// Followed by notify_ready() whatever becomes of the reload: systemd waits for it.
void notify_reloading();
void notify_stopping();
void notify_alive();

/// How often notify_alive() is expected at least (WatchdogSec=); nothing if nobody watches.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_period();

/// Of a ring in the file descriptor store; a name of the rest is a socket's.
inline constexpr std::string_view kRingNamePrefix = "fastlogd-ring-";

/// FDSTORE=1: the service manager keeps both under this name until they are removed or the service is stopped, as far as
/// FileDescriptorStoreMax= allows. Main thread: waits for a service manager that is behind.
void store_descriptors(const std::string& name, int first, int second);
/// The same over a connection of one's own, from any thread and without waiting. False: nothing was said.
[[nodiscard]] bool store_descriptors_now(int manager, const std::string& name, int first, int second);
/// None where no service manager listens, and where its address is none of a Unix socket. At the start.
[[nodiscard]] UniqueFd connect_to_service_manager();
void remove_descriptors(const std::string& name);

/// What a service manager hands over at a start.
struct Inheritance {
  std::vector<ingest::InheritedSocket> sockets;  ///< bound for us, with their FileDescriptorName=
  std::vector<ingest::KeptRing> rings;           ///< of the daemon before this one
};

/// sd_listen_fds_with_names(3). What is neither a socket nor half of a ring is closed and named in the log. The environment
/// variables are removed: children get none of this.
[[nodiscard]] Inheritance take_inheritance();

}  // namespace fastlogd::daemon
