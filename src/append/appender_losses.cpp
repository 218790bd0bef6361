// What the appender writes down of records that never got a number: GAP frames.
#include "append/appender.hpp"

namespace fastlogd::append {
namespace {

constexpr std::int64_t kGapInterval = 100 * kNanosPerMilli;

}  // namespace

void Appender::report_losses(std::int64_t now_ns) {
  if (now_ns < next_loss_check_ns_ || active_ == nullptr || lost_) return;
  next_loss_check_ns_ = now_ns + kGapInterval / 4;
  for (Input& input : inputs_) {
    if (now_ns < input.next_gap_ns) continue;
    for (std::size_t reason = 0; reason < ingress::kLossReasons; ++reason) {
      const std::uint64_t total = input.end.loss->by_reason[reason].value();
      if (total == input.reported[reason]) continue;
      report_loss(input, reason, total - input.reported[reason]);
      input.next_gap_ns = now_ns + kGapInterval;
    }
  }
  if (!drops_now()) report_dropped();
}

/// What left a ring and found no place. A GAP needs no new segment: room for one is always kept.
void Appender::report_dropped() {
  if (dropped_ == 0 || active_ == nullptr || lost_) return;
  const segment::Gap gap{
      .reason = dropped_why_, .count = dropped_, .from_ns = writer_.last_time_ns(), .to_ns = realtime_ns()};
  if (!writer_.append_gap(gap) || !settle()) return;
  dropped_ = 0;
  partners_.counters.gap_frames.add();
  publish();
}

void Appender::report_loss(Input& input, std::size_t reason, std::uint64_t count) {
  const segment::Gap gap{.reason = static_cast<ingress::LossReason>(reason),
                         .count = count,
                         .from_ns = writer_.last_time_ns(),
                         .to_ns = realtime_ns()};
  if (!writer_.append_gap(gap)) {
    if (!roll(segment::OpenReason::roll) || !writer_.append_gap(gap)) return;
  }
  if (!settle()) return;
  input.reported[reason] += count;
  partners_.counters.gap_frames.add();
  publish();
}

}  // namespace fastlogd::append
