#include "ingest/ack_ledger.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace fastlogd::ingest {

bool AckLedger::add(std::uint64_t number, std::size_t index) {
  if (run_count_ > 0) {
    Run& last = back();
    if (last.ring_end == 0 && last.first + last.count == number && last.index + last.count == index) {
      ++last.count;
      next_ = number + 1;
      return true;
    }
  }
  if (run_count_ == kRunsMax) return false;
  ++run_count_;
  back() = Run{.first = number, .count = 1, .index = static_cast<std::uint32_t>(index)};
  next_ = number + 1;
  return true;
}

void AckLedger::committed(std::uint64_t ring_end) {
  for (std::size_t i = run_count_; i-- > 0;) {
    Run& run = runs_[(first_run_ + i) % kRunsMax];
    if (run.ring_end != 0) return;
    run.ring_end = ring_end;
  }
}

/// The first of the run's numbers that is gone; 0: none.
std::uint64_t AckLedger::dropped_from(const Run& run, const DroppedRange& range) {
  if (run.ring_end < range.first_end || run.ring_end > range.last_end) return 0;
  const std::uint32_t kept = run.ring_end == range.first_end ? range.kept : 0;
  if (kept >= run.index + run.count) return 0;
  return run.first + (std::max(kept, run.index) - run.index);
}

void AckLedger::remember(const Stored& stored) {
  if (backlog_count_ == kBacklogMax) {
    for (std::size_t i = 0; i < kBacklogMax / 2; ++i) {
      const Stored& first = backlog_[2 * i];
      const Stored& second = backlog_[2 * i + 1];
      backlog_[i] = {.last = second.last, .from = first.from, .to = second.to};
    }
    backlog_count_ = kBacklogMax / 2;
  }
  backlog_[backlog_count_++] = stored;
}

void AckLedger::forget(std::size_t oldest) {
  if (oldest == 0) return;
  std::copy(backlog_.begin() + static_cast<std::ptrdiff_t>(oldest),
            backlog_.begin() + static_cast<std::ptrdiff_t>(backlog_count_), backlog_.begin());
  backlog_count_ -= oldest;
}

}  // namespace fastlogd::ingest
