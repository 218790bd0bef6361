// What a native session tells its peer, and how it ends.
#include <sys/socket.h>

#include "ingest/io_thread.hpp"
#include "ingest/native_session.hpp"
#include "ingest/refusal.hpp"
#include "ingest/sockets.hpp"
#include "ingest/unread.hpp"

namespace fastlogd::ingest {
namespace {

constexpr std::int64_t kUnreadNanosMax = 30 * kNanosPerSecond;  // FORMAT.md promises it
constexpr const char* kStopping = "the listener ends; what was read has been acknowledged or refused";
constexpr const char* kNotYet =
    "what this client wrote before the daemon's start is still being stored; connect again";
constexpr const char* kOutOfTime = "the stop ran out of time; what was not acknowledged may not be stored";

}  // namespace

void NativeSession::progressed(const RingPoint& point, const RingProgress& ring,
                               const StreamProgress* synced) {
  const auto tell = [this](const RefusedNumbers& numbers) {
    refuse(numbers.first, numbers.last, refusal_of(numbers.reason));
  };
  ledger_.settle(point, ring, tell);
  if (synced != nullptr) ledger_.sync(*synced, tell);
  answer();
  resume_if_stalled();
  end_if_done();
}

bool NativeSession::waits_for_progress() const {
  return !finished() && (ledger_.waits_for_appender() || ledger_.synced() < synced_wanted_);
}

/// Whoever makes us refuse more than it reads is closed: what is dropped must not wait for it.
void NativeSession::refuse(std::uint64_t first, std::uint64_t last, wire::Refusal why) {
  if (finished()) return;
  if (!replies_.extend_refusal(first, last, why)) {
    if (!replies_.has_room()) answer();
    if (!replies_.has_room()) {
      close(CloseReason::abusive);
      return;
    }
    replies_.refuse(first, last, why);
  }
  counters().refused_records[static_cast<std::size_t>(why) - 1].add(last - first + 1);
}

void NativeSession::answer() {
  if (finished()) return;
  const AckNumbers reached{.stored = ledger_.stored(), .synced = ledger_.synced()};
  if (replies_.is_due(reached, {.stored = stored_wanted_, .synced = synced_wanted_}) &&
      replies_.acknowledge(reached)) {
    counters().acknowledgements.add();
  }
  if (replies_.empty()) return;
  // Of a peer that is gone, everything it had sent is still to be read.
  replies_.send(waiter_.fd(), tick_ns_);
}

bool NativeSession::owes_answers() const {
  return !replies_.empty() || replies_.acknowledged_stored() < stored_wanted_ ||
         replies_.acknowledged_synced() < synced_wanted_;
}

/// A client whose listener ends may come back through another one, and what came before its first number is on disk to it
/// then. A stop syncs everything.
void NativeSession::sync_before_removal() {
  if (!draining_ || close_reason_ != CloseReason::removed) return;
  if (synced_wanted_ >= ledger_.last() || ledger_.synced() >= ledger_.last()) return;
  synced_wanted_ = ledger_.last();
  sync_request_ = true;
  request_sync(thread_.writer(*listener_));
  if (waits_for_progress()) board().wait(*this);
}

void NativeSession::end_if_done() {
  if (finished() || !ended_ || backlog_) return;
  sync_before_removal();
  if (owes_answers()) return;
  if (draining_) {
    replies_.error(wire::NativeError::shutting_down, kStopping);
    replies_.send(waiter_.fd(), tick_ns_);
  }
  close(close_reason_);
}

void NativeSession::resume_if_stalled() {
  if (finished() || !stalled_ || !replies_.has_room() || !ledger_.has_room()) return;
  stalled_ = false;
  ready();
}

void NativeSession::tick(std::int64_t monotonic_now_ns) {
  tick_ns_ = monotonic_now_ns;
  answer();
  const std::int64_t since = replies_.blocked_since_ns();
  if (!finished() && since != 0 && monotonic_now_ns - since > kUnreadNanosMax) {
    listener_->complaints.not_reading.log(
        diag::Level::warning,
        "listener {}: the connection of {} was closed: it does not read its acknowledgements",
        listener_->options.name, describe_peer(waiter_.fd()));
    close(CloseReason::abusive);
  }
  if (!finished() && sync_request_) request_sync(thread_.writer(*listener_));
  resume_if_stalled();
  end_if_done();
}

// --- the end ---

void NativeSession::fail(wire::NativeError error, std::string_view text) {
  if (finished()) return;
  listener_->complaints.bad_native.log(diag::Level::warning,
                                       "listener {}: the connection of {} was closed: {}",
                                       listener_->options.name, describe_peer(waiter_.fd()), text);
  answer();
  if (!finished() && replies_.has_room()) {
    replies_.error(error, text);
    replies_.send(waiter_.fd(), tick_ns_);
  }
  close(CloseReason::abusive);
}

void NativeSession::put_off() {
  if (replies_.has_room()) replies_.error(wire::NativeError::not_yet, kNotYet);
  replies_.send(waiter_.fd(), tick_ns_);
  close(CloseReason::error);
}

void NativeSession::drain(CloseReason reason) {
  if (draining_ || finished()) return;
  draining_ = true;
  close_reason_ = reason;
  if (ended_) return end_if_done();
  // A Unix peer is told at once (EPIPE) that nothing more is taken; TCP has no such word, so what is there now counts.
  if (listener_->options.transport == ListenerTransport::unix_stream) ::shutdown(waiter_.fd(), SHUT_RD);
  drain_bytes_left_ = queued_bytes(waiter_.fd());
  if (waiting()) ready();  // else it is paused or stalled, and will be called
}

/// What is in the ring is still stored, if the store has time for it; what is not is lost, and the peer hears of it.
void NativeSession::abandon() {
  if (finished()) return;
  thread_.count_abandoned(*listener_, refuse_unstored());
  answer();
  if (!finished() && replies_.has_room()) {
    replies_.error(wire::NativeError::shutting_down, kOutOfTime);
    replies_.send(waiter_.fd(), tick_ns_);
  }
  close(CloseReason::shutdown);
}

/// Records of the tail, and of what the socket holds: received to be counted, and refused. All of them first: a refusal that
/// finds no room ends the connection.
std::uint64_t NativeSession::refuse_unstored() {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  const auto greeted = [this](const wire::NativeHello& hello) { greet(hello); };
  const auto lost = [&](std::uint64_t number) {
    if (number <= known_) return;  // it is in the log
    if (first == 0) first = number;
    last = number;
  };
  const std::size_t unread = ended_ ? 0 : draining_ ? drain_bytes_left_ : queued_bytes(waiter_.fd());
  static_cast<void>(
      take_unread(waiter_.fd(), unread, std::string(tail_.get(), tail_bytes_),
                  [&](std::string_view text) { return count_records(decoder_, text, greeted, lost); }));
  if (first == 0) return 0;
  refuse(first, last, wire::Refusal::shutting_down);
  return last - first + 1;  // a connection's numbers have no holes
}

void NativeSession::close(CloseReason reason) {
  if (finished()) return;
  board().leave(*this);
  counters().closed_connections[static_cast<std::size_t>(reason)].add();
  counters().open_connections.fetch_sub(1, std::memory_order_relaxed);
  thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
  finish();
}

}  // namespace fastlogd::ingest
