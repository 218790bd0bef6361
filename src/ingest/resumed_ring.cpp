#include "ingest/resumed_ring.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "ingest/io_thread.hpp"

namespace fastlogd::ingest {

ResumedRing::ResumedRing(IoThread& thread, ListenerPtr listener, UniqueFd fd, IntakeStart start,
                         unsigned turn)
    : SharedIntake(thread, std::move(listener), std::move(fd), std::move(start)), turn_(turn) {
  counters().resumed_rings.add();
}

void ResumedRing::open() {
  board().join(*this);
  wake();
}

void ResumedRing::tick(std::int64_t monotonic_now_ns) {
  SharedIntake::tick(monotonic_now_ns);
  if (!finished() && !drained_) look_after_client();
}

/// What the client's ring before this one held is passed over here.
bool ResumedRing::may_take() {
  if (turn_has_come_) return true;
  const ReturningClients& returning = thread_.shared().returning;
  turn_has_come_ = returning.is_turn_of(listener_->stream, client_, turn_);
  known_ = std::max(known_, returning.last_of(listener_->stream, client_));
  return turn_has_come_;
}

/// Closed before it is looked into for the last time: who writes after that hears of it.
void ResumedRing::look_after_client() {
  const ReturningClients& returning = thread_.shared().returning;
  if (!ended_ && (!client_lives() || returning.is_wanted(listener_->stream, client_) ||
                  returning.is_superseded(listener_->stream, client_, turn_))) {
    client_has_ended();
    consumer_.close();
  }
  wake();
}

/// By its process's number, which may have passed to another one meanwhile: then the ring is looked into for longer.
bool ResumedRing::client_lives() const {
  const std::uint32_t pid = origin_.attested.pid;
  if (pid == 0 || pid == kUnknownId) return false;
  return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

bool ResumedRing::is_owed() const {
  return owes_room() || ledger_.synced() < ledger_.last();
}

/// Not if it has written after the last look, before it died.
bool ResumedRing::is_over() {
  client_gone_ = !client_lives();  // asked once, and before the last look
  return !client_gone_ || consumer_.look() != ring::Look::data;
}

std::string ResumedRing::describe_client() {
  return fmt::format("pid {}, which the daemon before had served", origin_.attested.pid);
}

/// The ring stays kept until its client has another one that is kept, and has copied: only then nothing can be in this one
/// alone.
void ResumedRing::left(CloseReason reason) {
  if (reason == CloseReason::shutdown) return;
  ReturningClients& returning = thread_.shared().returning;
  const bool last_one = !returning.is_superseded(listener_->stream, client_, turn_);
  returning.settle(listener_->stream, client_, ledger_.synced(), refused_,
                   last_one && !client_gone_ ? std::exchange(kept_name_, {}) : std::string());
}

}  // namespace fastlogd::ingest
