#include "ingest/stream_acceptor.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/diagnostics.hpp"
#include "ingest/io_thread.hpp"

namespace fastlogd::ingest {
namespace {

constexpr int kAcceptsPerWake = 64;
constexpr int kAcceptsAtDrain = 8192;  // more than any backlog

UniqueFd open_reserve() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

StreamAcceptor::StreamAcceptor(IoThread& thread, ListenerPtr listener, UniqueFd fd)
    : Channel(thread, std::move(listener), std::move(fd)), reserve_(open_reserve()) {}

void StreamAcceptor::ready() {
  for (int i = 0; i < kAcceptsPerWake && accept_one(); ++i) {
  }
  wait();
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
  if (!connection) {
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return false;
    counters().accept_errors.add();
    if (error == EMFILE || error == ENFILE) shed_one(error);
    return error == EINTR || error == ECONNABORTED || error == EPROTO;  // accept(2): those are the peer's
  }
  const unsigned open_now = thread_.shared().open_connections.fetch_add(1, std::memory_order_relaxed);
  if (open_now >= thread_.limits().connections_max) {
    thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
    counters().closed_connections[static_cast<std::size_t>(CloseReason::connections_max)].add();
    static diag::RateLimit limit;
    limit.log(diag::Level::warning, "listener {}: a connection was refused: limits.connections_max is {}",
              listener_->options.name, thread_.limits().connections_max);
    return true;
  }
  counters().accepted_connections.add();
  hand_over(std::move(connection));
  return true;
}

/// Without a descriptor a waiting peer can't even be closed, and the listener stays readable for ever: a
/// loop.
void StreamAcceptor::shed_one(int error) {
  reserve_.reset();
  UniqueFd refused(::accept4(waiter_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  static diag::RateLimit limit;
  limit.log(diag::Level::error,
            "listener {}: a connection was closed: {} (raise LimitNOFILE or lower connections_max)",
            listener_->options.name, std::strerror(error));
  refused.reset();
  reserve_ = open_reserve();
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
