// Sockets as the measuring programs name them: unix-stream:PATH, unix-datagram:PATH, tcp:PORT, udp:PORT (loopback).
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fastlogd::bench {

struct Endpoint {
  int family = AF_UNIX;
  int type = SOCK_STREAM;
  std::string path;
  std::uint16_t port = 0;

  [[nodiscard]] bool datagram() const { return type == SOCK_DGRAM; }
};

[[noreturn]] inline void throw_errno(const std::string& context) {
  throw std::runtime_error(errno_error(context).message());
}

inline Endpoint parse_endpoint(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  Endpoint endpoint;
  endpoint.type = kind == "unix-datagram" || kind == "udp" ? SOCK_DGRAM : SOCK_STREAM;
  if (kind == "unix-stream" || kind == "unix-datagram") {
    endpoint.path = rest;
    if (rest.empty() || rest.size() >= sizeof(sockaddr_un::sun_path))
      throw std::runtime_error("bad path: " + text);
  } else if (kind == "tcp" || kind == "udp") {
    endpoint.family = AF_INET;
    endpoint.port = static_cast<std::uint16_t>(std::stoul(rest));
  } else {
    throw std::runtime_error("unix-stream:PATH, unix-datagram:PATH, tcp:PORT or udp:PORT, not " + text);
  }
  return endpoint;
}

/// Calls bind(2) or connect(2) with the endpoint's address.
inline int with_address(const Endpoint& endpoint, int fd, int (*call)(int, const sockaddr*, socklen_t)) {
  if (endpoint.family == AF_UNIX) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, endpoint.path.c_str(), endpoint.path.size() + 1);
    return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

inline UniqueFd make_socket(const Endpoint& endpoint) {
  UniqueFd fd(::socket(endpoint.family, endpoint.type | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("socket");
  return fd;
}

/// Connects; keeps trying for ten seconds while nobody listens yet.
inline UniqueFd connect_to(const Endpoint& endpoint) {
  const std::int64_t until_ns = monotonic_ns() + 10 * kNanosPerSecond;
  for (;;) {
    UniqueFd fd = make_socket(endpoint);
    if (with_address(endpoint, fd.get(), ::connect) == 0) return fd;
    if (monotonic_ns() > until_ns) throw_errno("connect to " + endpoint.path + std::to_string(endpoint.port));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

inline UniqueFd bind_to(const Endpoint& endpoint) {
  UniqueFd fd = make_socket(endpoint);
  const int on = 1;
  if (endpoint.family == AF_INET) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (with_address(endpoint, fd.get(), ::bind) != 0) throw_errno("bind " + endpoint.path);
  if (!endpoint.datagram() && ::listen(fd.get(), 16) != 0) throw_errno("listen");
  return fd;
}

}  // namespace fastlogd::bench
