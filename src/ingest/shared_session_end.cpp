// What a session with shared memory hears and says on its socket, and how it ends.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "ingest/io_thread.hpp"
#include "ingest/refusal.hpp"
#include "ingest/shared_session.hpp"
#include "ingest/sockets.hpp"

namespace fastlogd::ingest {
namespace {

constexpr const char* kStopping = "the listener ends; what is not given back has not been taken";

}  // namespace

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
    ended_ = true;  // the memory is still here, and what it holds is stored
    if (!draining_) drain_bytes_left_ = memory_.parts().capacity;
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

/// Once everything that is to be synced is in the stream's ring.
void SharedSession::request_sync() {
  const bool done = ledger_.synced() >= synced_wanted_ ||
                    (ledger_.last() >= synced_wanted_ && thread_.writer(*listener_).request_sync());
  if (done) sync_request_ = false;
}

/// What the client's ring before this one held is passed over here.
bool SharedSession::is_my_turn() {
  if (turn_has_come_) return true;
  const ReturningClients& returning = thread_.shared().returning;
  turn_has_come_ = returning.is_turn_of(listener_->stream, client_, turn_);
  known_ = std::max(known_, returning.last_of(listener_->stream, client_));
  return turn_has_come_;
}

/// The client says so by any PING: it has copied what they held. One that dies before that leaves them to the next daemon.
void SharedSession::forget_old() {
  for (const std::string& name : std::exchange(old_names_, {})) thread_.shared().keeper->forget(name);
}

/// Of a resumed ring. Closed before it is looked into for the last time: who writes after that hears of it.
void SharedSession::look_after_client() {
  const ReturningClients& returning = thread_.shared().returning;
  if (!ended_ && (!client_lives() || returning.is_wanted(listener_->stream, client_) ||
                  returning.is_superseded(listener_->stream, client_, turn_))) {
    ended_ = true;
    drain_bytes_left_ = memory_.parts().capacity;
    consumer_.close();
  }
  wake();
}

/// By its process's number, which may have passed to another one meanwhile: then the ring is looked into for longer.
bool SharedSession::client_lives() const {
  const std::uint32_t pid = origin_.attested.pid;
  if (pid == 0 || pid == kUnknownId) return false;
  return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

/// So that nobody is told of a record that it is safe, in the next connection, and it is not.
void SharedSession::sync_all() {
  synced_wanted_ = ledger_.last();
  sync_request_ = true;
  request_sync();
  if (waits_for_progress()) board().wait(*this);
}

void SharedSession::progressed(const RingPoint& point, const RingProgress& ring,
                               const StreamProgress* synced) {
  const auto tell = [this](const RefusedNumbers& numbers) {
    note_refused(numbers.first, numbers.last, refusal_of(numbers.reason));
  };
  ledger_.settle(point, ring, tell);
  if (synced != nullptr) ledger_.sync(*synced, tell);
  give_back_settled(point.ring_position);
  answer();
  if (drained_) end_if_done();
}

bool SharedSession::waits_for_progress() const {
  return !finished() &&
         (owed_count_ > 0 || ledger_.waits_for_appender() || ledger_.synced() < synced_wanted_);
}

void SharedSession::answer() {
  if (finished() || resumed_) return;  // there it would be told to nobody; see settle_resumed()
  const std::uint64_t stored = ledger_.stored();
  const std::uint64_t synced = ledger_.synced();
  const bool wanted =
      (stored > replies_.acknowledged_stored() && replies_.acknowledged_stored() < stored_wanted_) ||
      (synced > replies_.acknowledged_synced() && replies_.acknowledged_synced() < synced_wanted_);
  if (wanted && refused_last_ != 0 && replies_.has_room()) {
    replies_.refuse(refused_first_, refused_last_, refusal_);
    refused_first_ = refused_last_ = 0;
  }
  if (wanted && replies_.acknowledge(stored, synced)) counters().acknowledgements.add();
  if (replies_.empty()) return;
  // Of a peer that is gone, everything it had sent is still to be read.
  replies_.send(waiter_.fd(), tick_ns_);
}

/// Of what can still be answered: nothing comes any more.
bool SharedSession::owes_answers() const {
  if (resumed_) return owed_count_ > 0 || ledger_.synced() < ledger_.last();
  return owed_count_ > 0 || replies_.acknowledged_stored() < std::min(stored_wanted_, ledger_.last()) ||
         replies_.acknowledged_synced() < std::min(synced_wanted_, ledger_.last());
}

void SharedSession::end_if_done() {
  if (finished() || !drained_ || owes_answers()) return;
  client_gone_ = resumed_ && !client_lives();  // asked once, and before the last look
  if (client_gone_ && consumer_.look() == ring::Look::data) {
    drained_ = false;  // written after the last look, before it died
    drain_bytes_left_ = memory_.parts().capacity;
    return wake();
  }
  if (draining_ && replies_.has_room()) {
    replies_.error(wire::NativeError::shutting_down, kStopping);
    replies_.send(waiter_.fd(), tick_ns_);
  }
  close(close_reason_);
}

void SharedSession::tick(std::int64_t monotonic_now_ns) {
  tick_ns_ = monotonic_now_ns;
  if (finished()) return;
  look_at_drops();
  if (sync_request_) request_sync();
  answer();
  if (drained_) return end_if_done();
  if (resumed_) look_after_client();
}

/// Nobody knows how many records are lost with it: one is counted, and the GAP says that there was something.
void SharedSession::end_ring(wire::NativeError error, const char* text) {
  if (finished()) return;
  counters().shared_violations.add();
  counters().received_records.add();
  counters().dropped_records[static_cast<std::size_t>(DropReason::refused)].add();
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::sender_error)].add();
  look_at_drops();
  listener_->complaints.bad_native.log(
      diag::Level::warning, "listener {}: the shared memory of {} was taken back: {}",
      listener_->options.name,
      resumed_ ? fmt::format("pid {}, which the daemon before had served", origin_.attested.pid)
               : describe_peer(waiter_.fd()),
      text);
  if (replies_.has_room()) {
    replies_.error(error, text);
    replies_.send(waiter_.fd(), tick_ns_);
  }
  close(CloseReason::abusive);
}

/// The client hears of it first; what it commits after that is not given back, and it writes it again elsewhere.
void SharedSession::drain(CloseReason reason) {
  if (draining_ || finished()) return;
  draining_ = true;
  close_reason_ = reason;
  ended_ = true;
  drain_bytes_left_ = memory_.parts().capacity;
  asleep_ = false;
  consumer_.close();
  wake();
}

/// What was not taken stays in the client's memory; what was taken is in the stream's ring.
void SharedSession::abandon() {
  if (finished()) return;
  look_at_drops();
  close(CloseReason::shutdown);
}

void SharedSession::close(CloseReason reason) {
  if (finished()) return;
  consumer_.close();
  board().leave(*this);
  counters().closed_connections[static_cast<std::size_t>(reason)].add();
  counters().open_connections.fetch_sub(1, std::memory_order_relaxed);
  thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
  if (reason != CloseReason::shutdown) {  // what a stopping daemon has not taken is its successor's
    if (resumed_) settle_resumed();
    if (!kept_name_.empty()) thread_.shared().keeper->forget(kept_name_);
  }
  finish();
}

/// The ring stays kept until its client has another one that is kept, and has copied: only then nothing can be in this one
/// alone.
void SharedSession::settle_resumed() {
  ReturningClients& returning = thread_.shared().returning;
  const RefusedRecords refused{.first = refused_first_, .last = refused_last_, .why = refusal_};
  const bool last_one = !returning.is_superseded(listener_->stream, client_, turn_);
  returning.settle(listener_->stream, client_, ledger_.synced(), refused,
                   last_one && !client_gone_ ? std::exchange(kept_name_, {}) : std::string());
}

}  // namespace fastlogd::ingest
