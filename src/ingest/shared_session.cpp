#include "ingest/shared_session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ingest/io_thread.hpp"
#include "ingest/sockets.hpp"

namespace fastlogd::ingest {
namespace {

constexpr const char* kStopping = "the listener ends; what is not given back has not been taken";

}  // namespace

SharedSession::SharedSession(IoThread& thread, ListenerPtr listener, UniqueFd fd, SharedStart start)
    : SharedIntake(thread, std::move(listener), std::move(fd), std::move(start.intake)),
      old_names_(std::move(start.old_names)),
      decoder_(start.decoder) {
  decoder_.records_are_shared();
  replies_.start(next_number() - 1);
  received_bytes_ = std::min(start.received.size(), received_.size());
  std::copy_n(start.received.begin(), received_bytes_, received_.begin());
  counters().shared_connections.add();
}

void SharedSession::open() {
  board().join(*this);
  heard();
  watch_socket();
}

void SharedSession::watch_socket() {
  if (!finished() && !ended_ && !waiter_.waiting()) waiter_.wait([this] { read_socket(); });
}

void SharedSession::read_socket() {
  ssize_t n = 0;
  do {
    n = ::recv(waiter_.fd(), received_.data() + received_bytes_, received_.size() - received_bytes_,
               MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    received_bytes_ += static_cast<std::size_t>(n);
    heard();
  } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
    if (!draining_) client_has_ended();  // the memory is still here, and what it holds is stored
    wake();
  }
  watch_socket();
}

/// Every message of this state is 16 bytes, so what is unfinished is always short.
void SharedSession::heard() {
  std::string_view rest(received_.data(), received_bytes_);
  wire::NativeEvent event;
  for (; !finished() && decoder_.next(rest, event); rest.remove_prefix(event.consumed)) {
    if (event.kind == wire::NativeEvent::Kind::error) return end_ring(event.error, event.text);
    if (event.kind == wire::NativeEvent::Kind::flush) {
      const bool sync = event.wanted == wire::Wanted::synced;
      std::uint64_t& wanted = sync ? synced_wanted_ : stored_wanted_;
      wanted = std::max(wanted, event.number);
      sync_request_ = sync_request_ || sync;
    }
    if (event.kind == wire::NativeEvent::Kind::ping) forget_old();
    if (event.kind == wire::NativeEvent::Kind::ping && replies_.has_room()) replies_.pong(event.number);
  }
  if (finished()) return;
  std::copy(rest.begin(), rest.end(), received_.data());
  received_bytes_ = rest.size();
  if (sync_request_) request_sync();
  if (waits_for_progress()) board().wait(*this);
  answer();
  wake();
}

/// The client says so by any PING: it has copied what they held. One that dies before that leaves them to the next daemon.
void SharedSession::forget_old() {
  for (const std::string& name : std::exchange(old_names_, {})) thread_.shared().keeper->forget(name);
}

void SharedSession::answer() {
  if (finished()) return;
  const AckNumbers reached{.stored = ledger_.stored(), .synced = ledger_.synced()};
  const bool due = replies_.is_due(reached, {.stored = stored_wanted_, .synced = synced_wanted_});
  if (due && refused_.last != 0 && replies_.has_room()) {
    replies_.refuse(refused_.first, refused_.last, refused_.why);
    refused_ = {};
  }
  if (due && replies_.acknowledge(reached)) counters().acknowledgements.add();
  if (replies_.empty()) return;
  // Of a peer that is gone, everything it had sent is still to be read.
  replies_.send(waiter_.fd(), tick_ns_);
}

/// A client whose listener ends comes back through another one, and what was given back is on disk to it then. A stop syncs
/// everything.
void SharedSession::all_taken() {
  if (draining_ && !daemon_stops()) SharedIntake::all_taken();
}

/// Of what can still be answered: nothing comes any more.
bool SharedSession::is_owed() const {
  return owes_room() || replies_.acknowledged_stored() < std::min(stored_wanted_, ledger_.last()) ||
         replies_.acknowledged_synced() < std::min(synced_wanted_, ledger_.last());
}

void SharedSession::take_leave() {
  if (draining_) say_why(wire::NativeError::shutting_down, kStopping);
}

void SharedSession::say_why(wire::NativeError error, const char* text) {
  if (!replies_.has_room()) return;
  replies_.error(error, text);
  replies_.send(waiter_.fd(), tick_ns_);
}

std::string SharedSession::describe_client() {
  return describe_peer(waiter_.fd());
}

void SharedSession::left(CloseReason reason) {
  counters().closed_connections[static_cast<std::size_t>(reason)].add();
  counters().open_connections.fetch_sub(1, std::memory_order_relaxed);
  thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace fastlogd::ingest
