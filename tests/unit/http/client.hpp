// A raw socket client, to say what no HTTP library would.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "base/unique_fd.hpp"

namespace fastlogd::http::test {

inline UniqueFd connect_tcp(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return fd;
}

inline UniqueFd connect_unix(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return fd;
}

inline bool send_all(const UniqueFd& fd, const std::string& text) {
  return ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/// Everything until the server closes, or until nothing came for `patience_ms`.
inline std::string receive_all(const UniqueFd& fd, int patience_ms = 20000) {
  std::string text;
  char buffer[4096];
  pollfd poll_fd{fd.get(), POLLIN, 0};
  while (::poll(&poll_fd, 1, patience_ms) == 1) {
    const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

/// True when the server has closed its side within the time.
inline bool is_closed(const UniqueFd& fd, int patience_ms) {
  pollfd poll_fd{fd.get(), POLLIN, 0};
  char byte = 0;
  return ::poll(&poll_fd, 1, patience_ms) == 1 && ::recv(fd.get(), &byte, 1, 0) <= 0;
}

}  // namespace fastlogd::http::test
