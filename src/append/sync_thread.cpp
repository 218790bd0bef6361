#include "append/sync_thread.hpp"

#include <chrono>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"

namespace fastlogd::append {

void SyncThread::start(const std::string& stream) {
  thread_ = std::thread([this, name = "fl-sync-" + stream] {
    set_thread_name(name.substr(0, 15).c_str());
    run();
  });
}

void SyncThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SyncThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    options_changed_ = true;
  }
  changed_.notify_all();
}

Result<> SyncThread::sync(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++requested_;
  changed_.notify_all();
  const bool done = changed_.wait_for(lock, timeout, [&] { return finished_ >= mine; });
  if (!done) return Error{std::make_error_code(std::errc::timed_out), "sync"};
  if (failed_) return Error{std::make_error_code(std::errc::io_error), "an fdatasync has failed"};
  return {};
}

void SyncThread::run() {
  SnapshotReader<StreamOptions> options(options_);
  std::unique_lock lock(mutex_);
  auto last_round = std::chrono::steady_clock::now();
  for (;;) {
    const Durability& durability = options.current().durability;
    const auto wanted = [&] { return stop_ || requested_ > finished_; };
    const auto woken = [&] { return wanted() || options_changed_; };
    if (durability.mode == DurabilityMode::none) {
      changed_.wait_for(lock, std::chrono::seconds(1), woken);
    } else {
      changed_.wait_until(lock, last_round + durability.interval, woken);
    }
    options_changed_ = false;
    const bool due = options.current().durability.mode == DurabilityMode::interval &&
                     std::chrono::steady_clock::now() >= last_round + options.current().durability.interval;
    if (!wanted() && !due) continue;
    const bool last = stop_;
    const std::uint64_t covers = requested_;
    lock.unlock();
    last_round = std::chrono::steady_clock::now();
    round();
    lock.lock();
    finished_ = covers;
    changed_.notify_all();
    if (last) return;
  }
}

void SyncThread::round() {
  const LogPosition target = control_.committed();
  const LogPosition from = control_.durable();
  if (failed_ || target == from) return;
  const std::int64_t began = monotonic_ns();
  for (std::uint64_t index = from.segment(); index <= target.segment(); ++index) {
    if (!sync_segment(index)) {
      failed_ = true;
      counters_.store_failed.store(true, std::memory_order_release);
      return;
    }
  }
  control_.set_durable(target);
  const std::int64_t took = monotonic_ns() - began;
  counters_.syncs.add();
  counters_.sync_nanos.add(static_cast<std::uint64_t>(took));
  counters_.last_sync_nanos.store(took, std::memory_order_relaxed);
}

bool SyncThread::sync_segment(std::uint64_t index) {
  const auto segment = live_.find(index);
  // Sealed meanwhile, which syncs it; a seal that failed has said so before it let go of the segment.
  if (!segment) return !counters_.store_failed.load(std::memory_order_acquire);
  const std::lock_guard one_at_a_time(segment->sync_mutex);
  if (segment->sync_failed.load(std::memory_order_acquire)) return false;
  const auto done = files_.sync_data(segment->file.fd.get());
  if (done) return true;
  counters_.sync_errors.add();
  segment->sync_failed.store(true, std::memory_order_release);
  diag::error("{}: {}; what was written there since the last sync may not survive a power loss",
              segment->file.path, done.error().message());
  return false;
}

}  // namespace fastlogd::append
