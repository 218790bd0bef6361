#include "ingest/stream_acceptor.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ingest/io_thread.hpp"
#include "ingest/sockets.hpp"

namespace fastlogd::ingest {
namespace {

constexpr int kAcceptsPerWake = 64;
constexpr int kAcceptsAtDrain = 8192;  // more than any backlog

UniqueFd open_reserve() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

/// accept4 takes the lowest free number, so a connection's number says how many descriptors are in use. The last
/// ones are not for connections: without one no segment can be prepared and no scrape be answered.
bool leaves_too_few(int fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const rlim_t kept = std::min<rlim_t>(limits::kDescriptorsKept, limit.rlim_cur / 4);
  return static_cast<rlim_t>(fd) + kept >= limit.rlim_cur;
}

}  // namespace

StreamAcceptor::StreamAcceptor(IoThread& thread, ListenerPtr listener, UniqueFd fd)
    : Channel(thread, std::move(listener), std::move(fd)), reserve_(open_reserve()) {}

void StreamAcceptor::ready() {
  for (int i = 0; i < kAcceptsPerWake && accept_one(); ++i) {
  }
  if (!resting_) wait();
}

void StreamAcceptor::tick(std::int64_t monotonic_now_ns) {
  static_cast<void>(monotonic_now_ns);
  if (!resting_) return;
  resting_ = false;
  ready();
}

void StreamAcceptor::drain(CloseReason reason) {
  static_cast<void>(reason);
  if (finished()) return;
  for (int i = 0; !listener_->inherited && i < kAcceptsAtDrain && accept_one(); ++i) {
  }
  finish();
}

// Walk 1 listener
bool StreamAcceptor::accept_one() {
  UniqueFd connection(::accept4(waiter_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!connection) return accept_failed(errno);
  if (leaves_too_few(connection.get())) {
    refused(CloseReason::descriptors);
    listener_->complaints.descriptors.log(diag::Level::error,
                                          "listener {}: the connection of {} was refused: the last "
                                          "descriptors are kept for segments and /metrics "
                                          "(raise LimitNOFILE or lower limits.connections_max)",
                                          listener_->options.name, describe_peer(connection.get()));
    return true;
  }
  const unsigned open_now = thread_.shared().open_connections.fetch_add(1, std::memory_order_relaxed);
  if (open_now >= thread_.limits().connections_max) {
    thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
    refused(CloseReason::connections_max);
    listener_->complaints.connections_max.log(
        diag::Level::warning, "listener {}: the connection of {} was refused: limits.connections_max is {}",
        listener_->options.name, describe_peer(connection.get()), thread_.limits().connections_max);
    return true;
  }
  counters().accepted_connections.add();
  hand_over(std::move(connection));
  return true;
}

bool StreamAcceptor::accept_failed(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return false;
  counters().accept_errors.add();
  if (error == EMFILE || error == ENFILE) shed_one(error);
  return error == EINTR || error == ECONNABORTED || error == EPROTO;  // accept(2): those are the peer's
}

/// Without a descriptor a waiting peer can't even be closed, and the listener stays readable for ever: a
/// loop.
void StreamAcceptor::shed_one(int error) {
  reserve_.reset();
  UniqueFd shed(::accept4(waiter_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  listener_->complaints.accept_failed.log(
      diag::Level::error,
      "listener {}: no connection can be accepted: {} (raise LimitNOFILE or lower limits.connections_max)",
      listener_->options.name, std::strerror(error));
  if (shed) {
    refused(CloseReason::descriptors);
  } else {
    resting_ = true;  // the system is out of them, or the limit was lowered: trying again at once would spin
  }
  shed.reset();
  reserve_ = open_reserve();
}

void StreamAcceptor::refused(CloseReason reason) {
  counters().closed_connections[static_cast<std::size_t>(reason)].add();
}

void StreamAcceptor::hand_over(UniqueFd connection) {
  if (listener_->options.transport == ListenerTransport::tcp) {
    const int on = 1;  // a peer that vanished without a word is noticed in the end
    ::setsockopt(connection.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  IoShared& shared = thread_.shared();
  const unsigned turn = shared.next_thread.fetch_add(1, std::memory_order_relaxed);
  IoThread* to = shared.threads[turn % shared.threads.size()].get();
  if (to == &thread_) {
    thread_.adopt_connection(listener_, std::move(connection));
    return;
  }
  to->post([to, listener = listener_, fd = std::move(connection)]() mutable {
    to->adopt_connection(std::move(listener), std::move(fd));
  });
}

}  // namespace fastlogd::ingest
