#include "ingest/ack_board.hpp"

#include <utility>

namespace fastlogd::ingest {

void AckBoard::join(AckListener& listener) {
  listeners_.push_back(&listener);
  waiting_.reserve(listeners_.capacity());
}

void AckBoard::leave(AckListener& listener) {
  std::erase(listeners_, &listener);
  if (listener.waiting_) std::erase(waiting_, &listener);
  listener.waiting_ = false;
}

void AckBoard::wait(AckListener& listener) {
  if (listener.waiting_) return;
  listener.waiting_ = true;
  waiting_.push_back(&listener);
}

bool AckBoard::deliver() {
  if (!moved()) return false;
  // What moves from here on is told by the next deliver(): moved() compares with these.
  const RingPoint point = ring_->point();
  seen_ring_ = point.ring_position;
  bool failed = false;
  if (stream_ != nullptr) {
    // One look: a failure that came between two would never be told.
    const std::uint64_t failures = stream_->failures();
    failed = failures != std::exchange(seen_failures_, failures);
    seen_durable_ = stream_->durable().value;
  }
  const std::vector<AckListener*>& concerned = failed ? listeners_ : waiting_;
  for (std::size_t i = concerned.size(); i-- > 0;) {  // backwards: one may leave
    concerned[i]->progressed(point, *ring_, stream_);
  }
  std::erase_if(waiting_, [](AckListener* one) { return !(one->waiting_ = one->waits_for_progress()); });
  while (const DroppedRange* range = ring_->dropped()) {
    if (range->last_end > point.ring_position) break;
    ring_->pop_dropped();
  }
  return true;
}

bool AckBoard::moved() const {
  return ring_->ring_position_moved(seen_ring_) ||
         (stream_ != nullptr &&
          (stream_->durable().value != seen_durable_ || stream_->failures() != seen_failures_));
}

}  // namespace fastlogd::ingest
