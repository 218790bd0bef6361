#include "daemon/service_manager.hpp"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"

namespace fastlogd::daemon {
namespace {

void notify(const std::string& state) {
  if (const int result = ::sd_notify(0, state.c_str()); result < 0) {
    static diag::RateLimit limit;
    limit.log(diag::Level::warning, "can't notify the service manager: {}",
              std::error_code(-result, std::system_category()).message());
  }
}

}  // namespace

void notify_ready(std::string_view status) {
  notify(fmt::format("READY=1\nSTATUS={}", status));
}

void notify_reloading() {
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=Reloading", monotonic_ns() / 1000));
}

void notify_stopping() {
  notify("STOPPING=1\nSTATUS=Storing what was received");
}

void notify_alive() {
  notify("WATCHDOG=1");
}

std::optional<std::chrono::microseconds> watchdog_period() {
  std::uint64_t micros = 0;
  if (::sd_watchdog_enabled(0, &micros) <= 0) return std::nullopt;
  return std::chrono::microseconds(micros);
}

std::vector<ingest::InheritedSocket> take_inherited_sockets() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    diag::warning("can't take sockets from the service manager: {}",
                  std::error_code(-count, std::system_category()).message());
    return {};
  }
  std::vector<ingest::InheritedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    const std::string name = names != nullptr && names[i] != nullptr ? names[i] : "";
    if (::sd_is_socket(fd.get(), AF_UNSPEC, 0, -1) <= 0) {
      diag::warning("descriptor {} ({}) from the service manager is not a socket; closed", fd.get(), name);
      continue;
    }
    sockets.push_back({name, std::move(fd)});
  }
  for (int i = 0; names != nullptr && names[i] != nullptr; ++i) std::free(names[i]);
  std::free(names);
  return sockets;
}

}  // namespace fastlogd::daemon
