#include "http/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fastlogd::http {
namespace {

constexpr int kBacklog = 16;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return invalid("socket path '" + path + "': must be 1 to " +
                   std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// Removes a socket file that nobody listens on.
Result<> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return errno_error("stat " + path);
  }
  if (!S_ISSOCK(status.st_mode)) return invalid(path + " exists and is not a socket");
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno_error("socket");
  // EAGAIN is a full backlog: somebody listens.
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return Error{std::make_error_code(std::errc::address_in_use), path + ": another process answers on it"};
  }
  if (errno != ECONNREFUSED) return errno_error("connect " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error("unlink " + path);
  return {};
}

}  // namespace

Result<UniqueFd> bind_unix(const std::string& path, mode_t mode) {
  const auto address = address_of(path);
  if (!address) return address.error();
  if (auto removed = remove_stale(path, *address); !removed) return removed.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return errno_error("bind " + path);
  }
  // Before listen() every connect is refused, so nobody slips in under the file's first mode.
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod " + path);
  if (::listen(fd.get(), kBacklog) != 0) return errno_error("listen " + path);
  return fd;
}

Result<PeerCredentials> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t bytes = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return errno_error("SO_PEERCRED");
  PeerCredentials peer{credentials.uid, credentials.gid, credentials.pid, {}};
  constexpr std::size_t kGroupsMax = 65536;  // NGROUPS_MAX
  peer.groups.resize(32);
  bytes = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
  int status = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &bytes);
  if (status != 0 && errno == ERANGE && bytes <= kGroupsMax * sizeof(gid_t)) {  // it says how many there are
    peer.groups.resize(bytes / sizeof(gid_t));
    status = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &bytes);
  }
  peer.groups.resize(status == 0 ? bytes / sizeof(gid_t) : 0);
  return peer;
}

bool may_control(const PeerCredentials& peer) {
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  const gid_t group = ::getegid();
  return peer.gid == group || std::find(peer.groups.begin(), peer.groups.end(), group) != peer.groups.end();
}

}  // namespace fastlogd::http
