#include "append/sync_thread.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"

namespace fastlogd::append {
namespace {

constexpr std::chrono::seconds kIdle{1};
constexpr std::chrono::microseconds kGatherStep{20};
constexpr std::int64_t kFirstPause = 250 * kNanosPerMilli;
constexpr std::int64_t kLongestPause = 30 * kNanosPerSecond;
constexpr LogPosition kEndOfLog{std::numeric_limits<std::uint64_t>::max()};

Error failure() {
  return Error{std::make_error_code(std::errc::io_error),
               "an fdatasync has failed: what was written since the one before may not survive a power loss"};
}

}  // namespace

SyncThread::SyncThread(Partners partners, std::uint64_t next_sequence)
    : partners_(std::move(partners)), options_(partners_.options), durable_next_(next_sequence) {}

void SyncThread::acknowledge_to(ring::WakeSignal& acks) {
  if (std::find(acks_.begin(), acks_.end(), &acks) == acks_.end()) acks_.push_back(&acks);
}

void SyncThread::start(const std::string& stream) {
  thread_ = std::thread([this, name = "fl-sync-" + stream] {
    set_thread_name(name.substr(0, 15).c_str());
    ::prctl(PR_SET_TIMERSLACK, 1000UL);  // else a step of the gathering takes four of them
    run();
  });
}

void SyncThread::stop() {
  stop_.store(true, std::memory_order_release);
  partners_.demand.look();
  if (thread_.joinable()) thread_.join();
}

Result<> SyncThread::sync(std::chrono::nanoseconds timeout) {
  const LogPosition from = partners_.progress.durable();
  const std::uint64_t next = partners_.demand.next_sequence();  // not behind `to`
  const LogPosition to = partners_.control.committed();
  const auto outcome = [&] { return from < to ? partners_.progress.state(from, to) : Durable::yes; };
  partners_.demand.ask();
  std::unique_lock lock(mutex_);
  const bool done = changed_.wait_for(lock, timeout, [&] { return ended_ || outcome() != Durable::pending; });
  const bool untold = std::exchange(told_failures_, failures_) != failures_;
  if (untold || outcome() == Durable::unknown) {
    told_next_ = std::max(told_next_, next);
    return failure();
  }
  if (!done) return Error{std::make_error_code(std::errc::timed_out), "sync"};
  if (outcome() == Durable::pending) {
    return Error{std::make_error_code(std::errc::operation_canceled), "sync: the stream has stopped"};
  }
  return {};
}

void SyncThread::run() {
  last_round_ns_ = monotonic_ns();
  while (!stop_.load(std::memory_order_acquire)) {
    const Durability& durability = options_.current().durability;
    if (state_ == State::failed && monotonic_ns() >= request_at_ns_) request_fail_over();
    if (due(durability)) {
      gather(durability);
      round(durability);
    } else {
      wait(durability);
    }
  }
  round(options_.current().durability);
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

bool SyncThread::due(const Durability& durability) const {
  const SyncDemand& demand = partners_.demand;
  if (demand.asked() != answered_) return true;
  if (state_ == State::requested) return partners_.fail_over.is_stated();
  if (state_ != State::sound) return false;
  if (demand.wanted() != covered_) return true;
  return durability.mode == DurabilityMode::interval &&
         monotonic_ns() >= last_round_ns_ + durability.interval.count() &&
         partners_.control.committed() != partners_.control.durable();
}

void SyncThread::wait(const Durability& durability) {
  std::chrono::nanoseconds timeout = kIdle;
  if (state_ == State::failed) {
    timeout = std::chrono::nanoseconds(std::max<std::int64_t>(request_at_ns_ - monotonic_ns(), 0));
  } else if (state_ == State::sound && durability.mode == DurabilityMode::interval) {
    const auto left = std::chrono::nanoseconds(last_round_ns_ - monotonic_ns()) + durability.interval;
    timeout = left.count() > 0 ? left : durability.interval;
  }
  ring::WakeSignal& bell = partners_.demand.bell();
  bell.arm();
  if (!stop_.load(std::memory_order_acquire) && !due(durability)) bell.wait(timeout);
  bell.disarm();
}

/// Those whom the last sync has served are about to come again: started at the first of them, or with those alone who came
/// during the last one, this one would let all others wait for a second. One who is alone, with one
/// record under way, never waits here.
void SyncThread::gather(const Durability& durability) const {
  if (state_ != State::sound || group_ < 2) return;
  const std::int64_t until =
      monotonic_ns() + std::min<std::int64_t>(durability.group_window.count(), last_sync_ns_);
  while (partners_.demand.wanted() - covered_ < group_ && monotonic_ns() < until &&
         !stop_.load(std::memory_order_acquire)) {
    std::this_thread::sleep_for(kGatherStep);
  }
}

void SyncThread::round(const Durability& durability) {
  if (state_ == State::requested && partners_.fail_over.is_stated()) take_up_again();
  Round now;
  now.asked = partners_.demand.asked();
  now.wanted = partners_.demand.wanted();
  now.next_sequence = partners_.demand.next_sequence();
  now.target = partners_.control.committed();  // before fdatasync: what comes later waits for the next round
  last_round_ns_ = monotonic_ns();
  if (state_ == State::sound) {
    partners_.counters.sync_began_ns.store(last_round_ns_, std::memory_order_relaxed);
    const bool synced = sync_segments(now.target);
    partners_.counters.sync_began_ns.store(0, std::memory_order_relaxed);
    if (synced) {
      advance(now);
    } else {
      fail(durability);
    }
  }
  settle(now);
}

/// A store may have failed behind the target, too: in its segment, or in a later one of which nothing could be committed.
bool SyncThread::sync_segments(LogPosition target) {
  const LogPosition durable = partners_.control.durable();
  if (target != durable) {
    for (std::uint64_t index = std::max(durable.segment(), resume_at_); index <= target.segment(); ++index) {
      if (!sync_segment(index)) return false;
    }
  }
  return !partners_.live.any_failed_from(target.segment());
}

bool SyncThread::sync_segment(std::uint64_t index) {
  const auto segment = partners_.live.find(index);
  if (!segment) return !partners_.live.failed(index);  // sealed meanwhile, which syncs it
  const std::lock_guard one_at_a_time(segment->sync_mutex);
  if (segment->failed.load(std::memory_order_acquire)) return false;
  if (segment->on_disk) return true;
  // What is committed there was written back and fenced before.
  if (segment->file.method == segment::WriteMethod::dax) return true;
  if (call_sync(*segment)) return true;
  segment->failed.store(true, std::memory_order_release);
  return false;
}

bool SyncThread::call_sync(LiveSegment& segment) {
  const std::int64_t began = monotonic_ns();
  const auto done = partners_.files.sync_data(segment.file.fd.get());
  last_sync_ns_ = monotonic_ns() - began;
  partners_.counters.syncs.add();
  partners_.counters.sync_duration.add(last_sync_ns_);
  if (done) return true;
  partners_.counters.sync_errors.add();
  diag::error("{}: {}; what was written there since the last sync may not survive a power loss",
              segment.file.path, done.error().message());
  return false;
}

void SyncThread::advance(const Round& round) {
  partners_.control.set_durable(round.target);
  partners_.progress.set_durable(round.target);
  durable_next_ = round.next_sequence;
  partners_.live.forget_failed(round.target.segment());
  if (pause_ns_ != 0) {
    pause_ns_ = 0;
    partners_.counters.store_failed.store(false, std::memory_order_release);
    partners_.counters.fail_overs.add();
    diag::warning("stream {}: what is stored from segment {} on is durable again", options_.current().name,
                  resume_at_);
  }
  group_ = partners_.demand.wanted() - covered_;  // whom it has served, and who came too late for it
}

/// Final for everything behind the durable position.
void SyncThread::fail(const Durability& durability) {
  {
    const std::lock_guard lock(mutex_);
    ++failures_;
  }
  partners_.counters.store_failed.store(true, std::memory_order_release);
  if (durability.on_failure == OnSyncFailure::stop) {
    add_unknown(kEndOfLog);
    state_ = State::given_up;
    diag::error("stream {}: a sync has failed, and durability.on_failure is stop", options_.current().name);
    if (partners_.gave_up) partners_.gave_up();
    return;
  }
  add_unknown(LogPosition::of(partners_.control.committed().segment() + 1, 0));
  state_ = State::failed;
  // At once the first time. A disk that fails every time would cost a segment each.
  request_at_ns_ = monotonic_ns() + pause_ns_;
  pause_ns_ = std::clamp(2 * pause_ns_, kFirstPause, kLongestPause);
}

void SyncThread::add_unknown(LogPosition to) {
  const LogPosition from = std::max(partners_.control.durable(), unknown_to_);
  if (from >= to) return;
  partners_.progress.add_unknown(from, to);
  unknown_to_ = to;
}

void SyncThread::request_fail_over() {
  state_ = State::requested;
  partners_.fail_over.request(durable_next_);
  partners_.appender.interrupt();
}

/// The appender has begun a segment that says what happened. Everything before it stays unknown.
void SyncThread::take_up_again() {
  resume_at_ = partners_.fail_over.segment();
  {
    const std::lock_guard lock(mutex_);
    const bool more = partners_.fail_over.next_sequence() > told_next_;
    if (more && told_failures_ == failures_) ++failures_;  // stored since, and before the new segment began
  }
  partners_.fail_over.settle();
  add_unknown(LogPosition::of(resume_at_, 0));
  state_ = State::sound;
}

/// Whoever was counted in the round has an answer now, or is refused by what StreamProgress says.
void SyncThread::settle(const Round& round) {
  answered_ = round.asked;
  covered_ = round.wanted;
  partners_.counters.sync_wishes_settled.set(round.wanted);
  {
    const std::lock_guard lock(mutex_);
  }  // nobody is between looking and sleeping
  changed_.notify_all();
  for (ring::WakeSignal* acks : acks_) acks->notify();
}

}  // namespace fastlogd::append
