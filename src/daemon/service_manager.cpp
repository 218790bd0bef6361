#include "daemon/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/send_descriptors.hpp"

namespace fastlogd::daemon {
namespace {

void complain(int result) {
  if (result >= 0) return;
  static diag::RateLimit limit;
  limit.log(diag::Level::warning, "can't notify the service manager: {}",
            std::error_code(-result, std::system_category()).message());
}

void notify(const std::string& state) {
  complain(::sd_notify(0, state.c_str()));
}

std::string ask_to_store(const std::string& name) {
  return fmt::format("FDSTORE=1\nFDPOLL=0\nFDNAME={}", name);
}

/// The two files of a ring have one name.
void take_half(const std::string& name, UniqueFd fd, std::map<std::string, UniqueFd>& halves,
               std::vector<ingest::KeptRing>& rings) {
  const auto other = halves.find(name);
  if (other == halves.end()) {
    halves.emplace(name, std::move(fd));
  } else {
    rings.push_back({.name = name, .one = std::move(other->second), .other = std::move(fd)});
    halves.erase(other);
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

void store_descriptors(const std::string& name, int first, int second) {
  const std::array<int, 2> descriptors = {first, second};
  complain(
      ::sd_pid_notify_with_fds(0, 0, ask_to_store(name).c_str(), descriptors.data(), descriptors.size()));
}

UniqueFd connect_to_service_manager() {
  const char* const environment = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = environment != nullptr ? environment : "";
  sockaddr_un address{};
  if ((!name.starts_with('/') && !name.starts_with('@')) || name.size() >= sizeof address.sun_path) return {};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path);
  if (name[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0) return {};
  return socket;
}

bool store_descriptors_now(int manager, const std::string& name, int first, int second) {
  return send_descriptors(manager, ask_to_store(name), {first, second});
}

void remove_descriptors(const std::string& name) {
  notify(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name));
}

Inheritance take_inheritance() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    diag::warning("can't take descriptors from the service manager: {}",
                  std::error_code(-count, std::system_category()).message());
    return {};
  }
  Inheritance inheritance;
  std::map<std::string, UniqueFd> halves;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    const std::string name = names != nullptr && names[i] != nullptr ? names[i] : "";
    if (name.starts_with(kRingNamePrefix)) {
      take_half(name, std::move(fd), halves, inheritance.rings);
    } else if (::sd_is_socket(fd.get(), AF_UNSPEC, 0, -1) > 0) {
      inheritance.sockets.push_back({name, std::move(fd)});
    } else {
      diag::warning("descriptor {} ({}) from the service manager is not a socket; closed", fd.get(), name);
    }
  }
  for (const auto& [name, fd] : halves) {
    diag::warning("half of the ring {} is all that came back from the service manager; closed", name);
    remove_descriptors(name);
  }
  for (int i = 0; names != nullptr && names[i] != nullptr; ++i) std::free(names[i]);
  std::free(static_cast<void*>(names));
  return inheritance;
}

}  // namespace fastlogd::daemon
