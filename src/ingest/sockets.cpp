#include "ingest/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"

namespace fastlogd::ingest {
namespace {

constexpr int kBacklog = 4096;                 // cut to net.core.somaxconn by the kernel
constexpr int kDatagramBufferBytes = 8 << 20;  // SO_RCVBUF doubles it for its own book-keeping (socket(7))

/// A socket address of any family, as the system calls want it.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

Result<Address> unix_address(const std::string& path) {
  Address address;
  auto* to = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof to->sun_path) {
    return invalid(fmt::format("socket path '{}' must have 1 to {} bytes", path, sizeof to->sun_path - 1));
  }
  to->sun_family = AF_UNIX;
  std::memcpy(to->sun_path, path.c_str(), path.size() + 1);
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Result<Address> ip_address(const std::string& text, std::uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.bytes = sizeof *v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.bytes = sizeof *v6;
  } else {
    return invalid(fmt::format("'{}' is no numeric IPv4 or IPv6 address", text));
  }
  return address;
}

Result<Address> address_of(const ListenerOptions& options) {
  return is_unix(options.transport) ? unix_address(options.path) : ip_address(options.address, options.port);
}

int socket_type(ListenerTransport transport) {
  return is_stream(transport) ? SOCK_STREAM : SOCK_DGRAM;
}

Address name_of_socket(int fd) {
  Address name;
  name.bytes = sizeof name.storage;
  if (::getsockname(fd, name.get(), &name.bytes) != 0) name.storage.ss_family = AF_UNSPEC;
  return name;
}

/// Empty for a family that has none.
std::string ip_text(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.family() == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr;
  if (address.family() == AF_INET6)
    bytes = &reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr;
  if (bytes == nullptr || ::inet_ntop(address.family(), bytes, text.data(), text.size()) == nullptr)
    return {};
  return text.data();
}

/// "127.0.0.1:514" or "[::1]:514".
std::string endpoint_text(const std::string& ip, std::uint16_t port) {
  return ip.find(':') == std::string::npos ? fmt::format("{}:{}", ip, port)
                                           : fmt::format("[{}]:{}", ip, port);
}

std::uint16_t port_of(const Address& address) {
  if (address.family() == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  if (address.family() == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  return 0;
}

void enable(int fd, int level, int option) {
  const int on = 1;
  ::setsockopt(fd, level, option, &on, sizeof on);
}

/// Options that must stand before bind: credentials of datagrams that arrive at once would else be missing.
void set_options(int fd, const ListenerOptions& options) {
  if (options.transport == ListenerTransport::unix_datagram) enable(fd, SOL_SOCKET, SO_PASSCRED);
  if (options.transport == ListenerTransport::udp) enable(fd, SOL_SOCKET, SO_RXQ_OVFL);
  if (options.transport == ListenerTransport::tcp) enable(fd, SOL_SOCKET, SO_REUSEADDR);
  if (!is_stream(options.transport)) {
    const int bytes = kDatagramBufferBytes;
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {  // needs CAP_NET_ADMIN
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);  // cut to net.core.rmem_max
    }
  }
}

/// By this path, or by another one that leads to the same file (/var/run).
bool is_bound_at(int fd, const std::string& path) {
  const Address name = name_of_socket(fd);
  if (name.family() != AF_UNIX) return false;
  const char* const bound = reinterpret_cast<const sockaddr_un*>(&name.storage)->sun_path;
  if (path == bound) return true;
  struct stat one{};
  struct stat other{};
  return ::stat(bound, &one) == 0 && ::stat(path.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

/// Removes a socket file that nobody answers on. No error: the path is free.
Result<> clear_stale(const Address& address, const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return errno_error(fmt::format("look at {}", path));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return invalid(fmt::format("{} exists and is no socket; it is not replaced", path));
  }
  const UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return errno_error("socket to probe with");
  // A stream socket answers a datagram probe with EPROTOTYPE: that is an answer too (connect(2)).
  if (::connect(probe.get(), address.get(), address.bytes) == 0 || errno == EPROTOTYPE) {
    return invalid(fmt::format("another program listens on {}; it is not replaced", path));
  }
  if (errno != ECONNREFUSED) return errno_error(fmt::format("find out who listens on {}", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return errno_error(fmt::format("remove stale {}", path));
  return {};
}

Result<SocketFile> bind_unix(int fd, const ListenerOptions& options, const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return address.error();
  if (auto cleared = clear_stale(*address, path); !cleared) return cleared.error();
  // The file is born with the socket's mode less the umask: never more open than asked, not even for a
  // moment.
  ::fchmod(fd, options.mode);
  if (::bind(fd, address->get(), address->bytes) != 0) return errno_error(fmt::format("bind {}", path));
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return errno_error(fmt::format("look at {}", path));
  SocketFile file(path, status.st_dev, status.st_ino);
  if (::chmod(path.c_str(), options.mode) != 0) return errno_error(fmt::format("set the mode of {}", path));
  return file;
}

}  // namespace

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
  }
  return *this;
}

void SocketFile::remove() {
  if (is_there()) ::unlink(path_.c_str());
  path_.clear();
}

bool SocketFile::is_there() const {
  if (path_.empty()) return false;
  struct stat status{};
  return ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void SocketFile::rename_to(const std::string& path) {
  if (path_.empty() || path_ == path) return;
  if (::rename(path_.c_str(), path.c_str()) != 0) {
    diag::error("rename {} to {}: {}", path_, path, std::strerror(errno));
    return;
  }
  path_ = path;
}

const char* transport_text(ListenerTransport transport) {
  switch (transport) {
    case ListenerTransport::unix_stream:
      return "unix-stream";
    case ListenerTransport::unix_datagram:
      return "unix-datagram";
    case ListenerTransport::tcp:
      return "tcp";
    case ListenerTransport::udp:
      return "udp";
  }
  return "unknown";
}

std::string describe_listener(const ListenerOptions& options) {
  if (is_unix(options.transport))
    return fmt::format("{} {}", transport_text(options.transport), options.path);
  return fmt::format("{} {}", transport_text(options.transport),
                     endpoint_text(options.address, options.port));
}

bool peer_has_gone(int fd) {
  pollfd entry{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return ::poll(&entry, 1, 0) > 0;
}

std::string describe_peer(int fd) {
  Address peer;
  peer.bytes = sizeof peer.storage;
  if (::getpeername(fd, peer.get(), &peer.bytes) != 0) return "a peer that is gone";
  if (peer.family() != AF_UNIX) return endpoint_text(ip_text(peer), port_of(peer));
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return "an unknown process";
  return fmt::format("uid {}, pid {}", credentials.uid, credentials.pid);
}

Result<BoundSocket> bind_listener(const ListenerOptions& options, const std::string& bind_path) {
  const auto fail = [&](Error error) {
    error.context =
        fmt::format("listener {} ({}): {}", options.name, describe_listener(options), error.context);
    return error;
  };
  const auto address = address_of(options);
  if (!address) return fail(address.error());
  const int type = socket_type(options.transport) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  BoundSocket bound{.fd = UniqueFd(::socket(address->family(), type, 0)), .file = {}, .port = 0};
  if (!bound.fd) return fail(errno_error("socket"));
  set_options(bound.fd.get(), options);
  if (is_unix(options.transport)) {
    auto file = bind_unix(bound.fd.get(), options, bind_path);
    if (!file) return fail(file.error());
    bound.file = std::move(*file);
  } else if (::bind(bound.fd.get(), address->get(), address->bytes) != 0) {
    return fail(errno_error("bind"));
  }
  if (is_stream(options.transport) && ::listen(bound.fd.get(), kBacklog) != 0)
    return fail(errno_error("listen"));
  bound.port = port_of(name_of_socket(bound.fd.get()));
  return bound;
}

Result<std::uint16_t> adopt_socket(int fd, const ListenerOptions& options) {
  const auto fail = [&](Error error) {
    error.context = fmt::format("listener {}: inherited socket: {}", options.name, error.context);
    return error;
  };
  int type = 0;
  socklen_t bytes = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0)
    return fail(errno_error("getsockopt SO_TYPE"));
  const Address name = name_of_socket(fd);
  const bool family_fits = (name.family() == AF_UNIX) == is_unix(options.transport);
  if (type != socket_type(options.transport) || !family_fits) {
    return fail(invalid(fmt::format("is not of transport {}", transport_text(options.transport))));
  }
  set_options(fd, options);
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return fail(errno_error("make it non-blocking"));
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (is_stream(options.transport) && ::listen(fd, kBacklog) != 0) return fail(errno_error("listen"));
  return port_of(name);
}

bool is_bound_to(int fd, const ListenerOptions& options) {
  const auto wanted = address_of(options);
  if (!wanted) return false;
  if (is_unix(options.transport)) return is_bound_at(fd, options.path);
  int type = 0;
  socklen_t bytes = sizeof type;
  ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes);
  const Address name = name_of_socket(fd);
  if (type != socket_type(options.transport) || name.family() != wanted->family()) return false;
  return name.bytes == wanted->bytes && std::memcmp(&name.storage, &wanted->storage, name.bytes) == 0;
}

void end_intake(int fd, ListenerTransport transport) {
  if (transport != ListenerTransport::udp) {
    ::shutdown(fd, SHUT_RD);  // senders get EPIPE; recvmsg still returns what is queued, then end of file
    return;
  }
  // A connected UDP socket takes datagrams of its peer only: name one that never sends, the discard port.
  Address peer = name_of_socket(fd);
  if (peer.family() == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&peer.storage);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4->sin_port = htons(9);
  } else if (peer.family() == AF_INET6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&peer.storage);
    v6->sin6_addr = in6addr_loopback;
    v6->sin6_port = htons(9);
  }
  ::connect(fd, peer.get(), peer.bytes);
}

}  // namespace fastlogd::ingest
