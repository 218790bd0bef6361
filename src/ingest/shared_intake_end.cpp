// How an intake from shared memory gets on with the appender, and how it ends.
#include <utility>

#include "ingest/io_thread.hpp"
#include "ingest/refusal.hpp"
#include "ingest/shared_intake.hpp"

namespace fastlogd::ingest {

/// Once everything that is to be synced is in the stream's ring.
void SharedIntake::request_sync() {
  const bool done = ledger_.synced() >= synced_wanted_ ||
                    (ledger_.last() >= synced_wanted_ && thread_.writer(*listener_).request_sync());
  if (done) sync_request_ = false;
}

void SharedIntake::all_taken() {
  synced_wanted_ = ledger_.last();
  sync_request_ = true;
  request_sync();
  if (waits_for_progress()) board().wait(*this);
}

void SharedIntake::progressed(const RingPoint& point, const RingProgress& ring,
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

bool SharedIntake::waits_for_progress() const {
  return !finished() &&
         (owed_count_ > 0 || ledger_.waits_for_appender() || ledger_.synced() < synced_wanted_);
}

void SharedIntake::tick(std::int64_t monotonic_now_ns) {
  tick_ns_ = monotonic_now_ns;
  if (finished()) return;
  look_at_drops();
  if (sync_request_) request_sync();
  answer();
  if (drained_) end_if_done();
}

void SharedIntake::client_has_ended() {
  ended_ = true;
  drain_bytes_left_ = memory_.parts().capacity;
}

void SharedIntake::end_if_done() {
  if (finished() || !drained_ || is_owed()) return;
  if (!is_over()) {
    drained_ = false;
    client_has_ended();
    return wake();
  }
  take_leave();
  close(close_reason_);
}

/// Nobody knows how many records are lost with it: one is counted, and the GAP says that there was something.
void SharedIntake::end_ring(wire::NativeError error, const char* text) {
  if (finished()) return;
  counters().shared_violations.add();
  counters().received_records.add();
  counters().dropped_records[static_cast<std::size_t>(DropReason::refused)].add();
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::sender_error)].add();
  look_at_drops();
  listener_->complaints.bad_native.log(diag::Level::warning,
                                       "listener {}: the shared memory of {} was taken back: {}",
                                       listener_->options.name, describe_client(), text);
  say_why(error, text);
  close(CloseReason::abusive);
}

/// The client hears of it first; what it commits after that is not given back, and it writes it again elsewhere.
void SharedIntake::drain(CloseReason reason) {
  if (draining_ || finished()) return;
  draining_ = true;
  close_reason_ = reason;
  client_has_ended();
  asleep_ = false;
  consumer_.close();
  wake();
}

/// What was not taken stays in the client's memory; what was taken is in the stream's ring.
void SharedIntake::abandon() {
  if (finished()) return;
  look_at_drops();
  close(CloseReason::shutdown);
}

/// What a stopping daemon has not taken is its successor's.
void SharedIntake::close(CloseReason reason) {
  if (finished()) return;
  consumer_.close();
  board().leave(*this);
  left(reason);
  if (reason != CloseReason::shutdown && !kept_name_.empty()) thread_.shared().keeper->forget(kept_name_);
  finish();
}

}  // namespace fastlogd::ingest
