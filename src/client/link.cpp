#include "client/link.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace fastlogd::client {
namespace {

using wire::NativeType;
using wire::ReplyStatus;

bool poll_until(int fd, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (left.count() <= 0) return false;
  }
}

}  // namespace

ClientId random_client_id() {
  ClientId id{};
  if (::getrandom(id.data(), id.size(), GRND_NONBLOCK) != static_cast<ssize_t>(id.size())) return {};
  return id;
}

Result<Link> Link::open(const LinkOptions& options, const ClientId& client, std::uint64_t first_number,
                        Deadline deadline) {
  Link link;
  if (const Result<> connected = link.connect(options.path); !connected) return connected.error();
  if (const Result<> greeted = link.greet(options, client, first_number, deadline); !greeted) {
    return Error{greeted.error().code, fmt::format("{}: {}", options.path, greeted.error().context)};
  }
  return link;
}

Result<> Link::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return invalid(fmt::format("{}: longer than a socket's path can be", path));
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return errno_error("socket");
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error(fmt::format("connect to {}", path));
  }
  return {};
}

Result<> Link::greet(const LinkOptions& options, const ClientId& client, std::uint64_t first_number,
                     Deadline deadline) {
  std::string hello;
  wire::append_hello(hello, first_number, options.identifier, "", client);
  if (options.ring_bytes != 0) wire::append_share(hello, options.ring_bytes);
  if (!send(hello, deadline)) return invalid("the daemon does not take a greeting");
  wire::NativeReply reply;
  for (const NativeType expected : {NativeType::welcome, NativeType::memory}) {
    if (expected == NativeType::memory && options.ring_bytes == 0) break;
    const Heard heard = hear(reply, deadline);
    if (heard == Heard::nothing) return Error{std::make_error_code(std::errc::timed_out), "no answer"};
    if (reply.type == NativeType::error) return invalid(fmt::format("the daemon says: {}", reply.text));
    if (heard == Heard::broken || reply.type != expected) return invalid("what answers is no fastlogd");
    if (expected == NativeType::welcome) {
      record_bytes_max_ = reply.record_bytes_max;
    } else if (reply.share_refusal == wire::ShareRefusal::none) {
      if (const Result<> taken = take_shared(reply); !taken) return taken;
    }
  }
  return {};
}

Result<> Link::take_shared(const wire::NativeReply& reply) {
  if (!descriptors_[0] || !descriptors_[1]) return invalid("shared memory without its descriptors");
  auto memory = ring::SharedMemory::open(std::move(descriptors_[0]), std::move(descriptors_[1]),
                                         static_cast<std::size_t>(reply.number));
  if (!memory) return memory.error();
  memory_ = std::move(*memory);
  // What the ring can't hold can't be reserved in it.
  record_bytes_max_ = std::min<std::size_t>(reply.record_bytes_max, memory_.parts().capacity / 2 - 64);
  return {};
}

bool Link::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const std::ptrdiff_t n = send_some(bytes);
    if (n < 0 || (n == 0 && !poll_until(socket_.get(), POLLOUT, deadline))) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::ptrdiff_t Link::send_some(std::string_view bytes) {
  const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return n;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

void Link::wait_for_room(Deadline deadline) {
  static_cast<void>(poll_until(socket_.get(), POLLOUT, deadline));
}

bool Link::send_bell() {
  const wire::NativeHeader bell{.bytes = sizeof(wire::NativeHeader), .type = NativeType::bell};
  // No room: it has been rung for often enough. A part of 16 bytes is never taken from a Unix socket.
  return send_some({reinterpret_cast<const char*>(&bell), sizeof bell}) >= 0;
}

bool Link::is_broken() const {
  pollfd entry{
      .fd = socket_.get(), .events = POLLRDHUP, .revents = 0};  // unread words may stand before the end
  return ::poll(&entry, 1, 0) > 0;
}

void Link::shut_down() {
  static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
}

Link::Heard Link::hear(wire::NativeReply& reply, Deadline deadline) {
  while (true) {
    std::copy(received_.begin() + static_cast<std::ptrdiff_t>(heard_bytes_),
              received_.begin() + static_cast<std::ptrdiff_t>(received_bytes_), received_.begin());
    received_bytes_ -= std::exchange(heard_bytes_, 0);
    const ReplyStatus status = wire::read_reply({received_.data(), received_bytes_}, reply, heard_bytes_);
    if (status == ReplyStatus::message) {
      return reply.type == NativeType::error ? Heard::broken : Heard::reply;
    }
    if (status == ReplyStatus::broken) return Heard::broken;
    if (!poll_until(socket_.get(), POLLIN, deadline)) return Heard::nothing;
    if (receive() < 0) return Heard::broken;
  }
}

/// With the descriptors that come with MEMORY; any others are closed.
std::ptrdiff_t Link::receive() {
  iovec room{.iov_base = received_.data() + received_bytes_, .iov_len = received_.size() - received_bytes_};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
  if (n == 0) return -1;
  received_bytes_ += static_cast<std::size_t>(n);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      UniqueFd owned(fd);
      if (i < descriptors_.size()) descriptors_[i] = std::move(owned);
    }
  }
  return n;
}

}  // namespace fastlogd::client
