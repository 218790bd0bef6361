#include "ctl/message_sink.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "ctl/failure.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{64} * 1024;

[[noreturn]] void fail(const std::string& where, const char* what) {
  throw Failure(ExitCode::nothing_found, fmt::format("{}: {}", where, what));
}

UniqueFd connect_unix(const SinkAddress& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.where.size() >= sizeof name.sun_path) fail(address.where, "the path is too long for a socket");
  std::memcpy(name.sun_path, address.where.data(), address.where.size());
  const int type = address.stream() ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    fail(address.where, std::strerror(errno));
  }
  return socket;
}

UniqueFd connect_inet(const SinkAddress& address) {
  const std::size_t colon = address.where.rfind(':');
  if (colon == std::string::npos) throw Failure(ExitCode::usage, address.where + ": HOST:PORT is needed");
  std::string host = address.where.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = address.stream() ? SOCK_STREAM : SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), address.where.c_str() + colon + 1, &hints, &found);
  if (status != 0) fail(address.where, ::gai_strerror(status));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  int error = ECONNREFUSED;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    UniqueFd socket(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    if (socket && ::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) return socket;
    error = errno;
  }
  fail(address.where, std::strerror(error));
}

}  // namespace

UniqueFd connect_to(const SinkAddress& address) {
  const bool local = address.kind == SinkKind::unix_stream || address.kind == SinkKind::unix_datagram;
  return local ? connect_unix(address) : connect_inet(address);
}

MessageSink::MessageSink(const SinkAddress& address, bool octet_counting)
    : address_(address), octet_counting_(octet_counting && address.stream()), socket_(connect_to(address)) {}

void MessageSink::send(std::string_view message) {
  if (!address_.stream()) return write_all(message);
  if (octet_counting_) batch_ += fmt::format("{} ", message.size());
  batch_ += message;
  if (!octet_counting_) batch_ += '\n';
  if (batch_.size() >= kBatchBytes) flush();
}

void MessageSink::flush() {
  write_all(batch_);
  batch_.clear();
}

void MessageSink::close() {
  flush();
  if (!address_.stream() || ::shutdown(socket_.get(), SHUT_WR) != 0) return;
  std::array<char, 256> ignored;
  while (::recv(socket_.get(), ignored.data(), ignored.size(), 0) > 0) {
  }
}

/// A datagram goes whole or not at all; a stream takes what it can.
void MessageSink::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(address_.stream() ? static_cast<std::size_t>(n) : bytes.size());
    } else if (errno != EINTR) {
      fail(address_.where, std::strerror(errno));
    }
  }
}

}  // namespace fastlogd::ctl
