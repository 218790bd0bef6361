// Records that never get a number: how they are dropped, and the GAP frames that tell of them.
#include <array>
#include <numeric>
#include <utility>

#include "append/appender.hpp"
#include "base/clock.hpp"
#include "base/diagnostics.hpp"

namespace fastlogd::append {
namespace {

constexpr std::int64_t kGapInterval = 100 * kNanosPerMilli;

}  // namespace

/// With drop-newest on a full disk, where there is no segment to store anything in: nobody is kept waiting for one. The
/// entries taken.
std::size_t Appender::drop_if_so_told() {
  std::size_t entries = 0;
  if (!drops_now()) return entries;
  for (Input& input : inputs_) entries += drop_all(input, DropReason::segment_full);
  return entries;
}

/// Everything that is in the ring now.
std::size_t Appender::drop_all(Input& input, DropReason reason) {
  ring::ByteRing& ring = *input.end.ring;
  std::size_t entries = 0;
  for (auto bytes = ring.peek(); !bytes.empty(); bytes = ring.peek(), ++entries) {
    const ingress::EntryView entry(bytes);
    if (entry.header().kind == ingress::EntryKind::source_definition) input.sources->define(entry);
    drop_rest(input, entry, reason);
    ring.release(entry.entry_bytes());
    input.report.released(ring.read());
  }
  if (entries > 0) ring.publish_space();
  if (entries > 0 || input.report.behind()) report_progress(input);
  if (entries > 0) input.end.space->notify();
  return entries;
}

void Appender::drop_rest(Input& input, const ingress::EntryView& entry, DropReason reason) {
  if (!entry.is_block()) return;
  const bool ending = stop_deadline_ns_.load(std::memory_order_acquire) != 0;
  if (ending && entry.is_lent()) {  // nobody gives its place back any more: the next daemon finds it there
    input.resume_at = 0;
    return;
  }
  if (input.resume_at == 0) pass_over_repeated(input, entry);
  const std::size_t count = entry.header().descriptor_count - input.resume_at;
  partners_.counters.dropped_records[static_cast<std::size_t>(reason)].add(count);
  const ingress::LossReason why =
      reason == DropReason::shutdown ? ingress::LossReason::shutdown : ingress::LossReason::segment_full;
  dropped_[static_cast<std::size_t>(why)] += count;
  input.report.dropped(static_cast<std::uint32_t>(input.resume_at), why);
  input.resume_at = 0;
}

void Appender::report_losses(std::int64_t now_ns) {
  if (now_ns < next_loss_check_ns_ || active_ == nullptr || lost_) return;
  next_loss_check_ns_ = now_ns + kGapInterval / 4;
  untold_ = 0;
  for (const Input& input : inputs_) {
    for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason) untold_ += untold(input, reason);
  }
  for (Input& input : inputs_) {
    if (now_ns < input.next_gap_ns) continue;
    for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason) {
      const std::uint64_t count = untold(input, reason);
      if (count == 0) continue;
      report_loss(input, reason, count);
      input.next_gap_ns = now_ns + kGapInterval;
    }
  }
  report_dropped();
}

/// Lost in front of that ring, and told by no GAP.
std::uint64_t Appender::untold(const Input& input, std::size_t reason) {
  return input.end.loss->by_reason[reason].value() - input.reported[reason];
}

/// What left a ring and found no place. On a full disk there is only what the segment keeps for that: told at once, and
/// again whenever as much has been lost as was told of. So a kill leaves less than half of it untold.
void Appender::report_dropped() {
  const std::uint64_t all = std::accumulate(dropped_.begin(), dropped_.end(), std::uint64_t{0});
  if (all == 0 || active_ == nullptr || lost_) return;
  if (drops_now() && all < told_dropped_) return;
  for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason) {
    if (dropped_[reason] == 0) continue;
    const segment::Gap gap{.reason = static_cast<ingress::LossReason>(reason),
                           .count = dropped_[reason],
                           .from_ns = writer_.last_time_ns(),
                           .to_ns = realtime_ns()};
    if (!writer_.append_gap(gap, segment::GapRoom::early) || !settle()) return;
    told_dropped_ += std::exchange(dropped_[reason], 0);
    partners_.counters.gap_frames.add();
    publish();
  }
}

/// The last words of a stream that ends: what no GAP has told of yet. Room for one of each reason is left.
void Appender::report_rest() {
  next_loss_check_ns_ = 0;
  for (Input& input : inputs_) input.next_gap_ns = 0;
  report_dropped();
  report_losses(monotonic_ns());
  auto rest = std::exchange(dropped_, {});
  for (const Input& input : inputs_) {
    for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason)
      rest[reason] += untold(input, reason);
  }
  for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason) {
    if (rest[reason] == 0) continue;
    const segment::Gap gap{.reason = static_cast<ingress::LossReason>(reason),
                           .count = rest[reason],
                           .from_ns = writer_.last_time_ns(),
                           .to_ns = realtime_ns()};
    if (active_ != nullptr && !lost_ && writer_.append_gap(gap) && settle()) {
      partners_.counters.gap_frames.add();
    } else {
      diag::error("stream {}: {} records are lost ({}), and there is no segment to say so in",
                  options_.current().name, rest[reason], ingress::loss_reason_name(gap.reason));
    }
  }
}

/// What is lost in front of the rings while the disk is full is told likewise: by what all of them have not told.
bool Appender::tell(const segment::Gap& gap) {
  using segment::GapRoom;
  if (writer_.append_gap(gap, GapRoom::ordinary)) return true;
  if (roll(segment::OpenReason::roll)) return writer_.append_gap(gap, GapRoom::ordinary);
  if (untold_ < told_dropped_ || !writer_.append_gap(gap, GapRoom::early)) return false;
  told_dropped_ += gap.count;
  return true;
}

void Appender::report_loss(Input& input, std::size_t reason, std::uint64_t count) {
  const segment::Gap gap{.reason = static_cast<ingress::LossReason>(reason),
                         .count = count,
                         .from_ns = writer_.last_time_ns(),
                         .to_ns = realtime_ns()};
  if (!tell(gap) || !settle()) return;
  input.reported[reason] += count;
  partners_.counters.gap_frames.add();
  publish();
}

}  // namespace fastlogd::append
