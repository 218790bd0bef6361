#include "ingest/ack_ledger.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace fastlogd::ingest {

bool AckLedger::begin_run(std::uint64_t number, std::size_t index) {
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
  if (backlog_count_ == kBacklogMax) join_smallest_pair();
  backlog_[backlog_count_++] = stored;
}

/// Always the two neighbours that together hold the fewest records: so all entries stay about equally fine, and the
/// watermark advances in steps of some percent of what waits, however far the disk is behind. (Joining all in pairs at
/// once makes the oldest entry hold nearly everything: then a slow disk never reaches its end.)
void AckLedger::join_smallest_pair() {
  std::size_t smallest = 0;
  std::uint64_t fewest = UINT64_MAX;
  std::uint64_t before = synced_;
  for (std::size_t i = 0; i + 1 < kBacklogMax; ++i) {
    const std::uint64_t records = backlog_[i + 1].last - before;
    before = backlog_[i].last;
    if (records >= fewest) continue;
    fewest = records;
    smallest = i;
  }
  Stored& first = backlog_[smallest];
  first.last = backlog_[smallest + 1].last;
  first.to = backlog_[smallest + 1].to;
  std::copy(backlog_.begin() + static_cast<std::ptrdiff_t>(smallest) + 2, backlog_.end(),
            backlog_.begin() + static_cast<std::ptrdiff_t>(smallest) + 1);
  --backlog_count_;
}

void AckLedger::forget(std::size_t oldest) {
  if (oldest == 0) return;
  std::copy(backlog_.begin() + static_cast<std::ptrdiff_t>(oldest),
            backlog_.begin() + static_cast<std::ptrdiff_t>(backlog_count_), backlog_.begin());
  backlog_count_ -= oldest;
}

}  // namespace fastlogd::ingest
