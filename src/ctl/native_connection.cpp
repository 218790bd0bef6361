#include "ctl/native_connection.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/limits.hpp"
#include "ctl/failure.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
constexpr std::size_t kBatchBytesUntilWelcome = std::size_t{64} * 1024;

}  // namespace

NativeConnection::NativeConnection(const SinkAddress& address, std::string_view identifier,
                                   std::string_view host)
    : where_(address.where), socket_(connect_to(address)), message_bytes_max_(kBatchBytesUntilWelcome) {
  if (!address.stream()) throw Failure(ExitCode::usage, "acknowledgements need a stream socket or TCP");
  const int flags = ::fcntl(socket_.get(), F_GETFL);
  ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
  wire::append_hello(out_, 1, identifier.substr(0, limits::kIdentifierBytesMax),
                     host.substr(0, limits::kHostBytesMax));
}

bool NativeConnection::write_some() {
  while (written_ < out_.size()) {
    const ssize_t n = ::send(socket_.get(), out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    written_ += static_cast<std::size_t>(n);
  }
  out_.clear();
  written_ = 0;
  return true;
}

bool NativeConnection::read_some(const OnReply& on_reply) {
  std::array<char, kReadBytes> buffer;
  const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (n == 0) return false;
  in_.append(buffer.data(), static_cast<std::size_t>(n));
  std::string_view rest = in_;
  wire::NativeReply reply;
  std::size_t consumed = 0;
  for (;; rest.remove_prefix(consumed)) {
    const wire::ReplyStatus status = wire::read_reply(rest, reply, consumed);
    if (status == wire::ReplyStatus::more) break;
    if (status == wire::ReplyStatus::broken) {
      throw Failure(ExitCode::nothing_found, where_ + " does not answer in the native protocol");
    }
    if (reply.type == wire::NativeType::welcome) message_bytes_max_ = reply.message_bytes_max;
    on_reply(reply);
  }
  in_.erase(0, in_.size() - rest.size());
  return true;
}

bool wait_for(const NativeConnection& connection, int other_fd, int timeout_ms) {
  const auto wanted = static_cast<short>(POLLIN | (connection.unwritten_bytes() > 0 ? POLLOUT : 0));
  std::array<pollfd, 2> fds{pollfd{connection.fd(), wanted, 0}, pollfd{other_fd, POLLIN, 0}};
  if (::poll(fds.data(), fds.size(), timeout_ms) < 0 && errno != EINTR) {
    throw Failure(ExitCode::usage, fmt::format("poll: {}", std::strerror(errno)));
  }
  return fds[1].revents != 0;
}

}  // namespace fastlogd::ctl
