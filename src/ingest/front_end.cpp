#include "ingest/front_end.hpp"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "ingest/front_end_state.hpp"

namespace fastlogd::ingest {
namespace {

/// One for every two processors this process may use: the appender and the followers want some too.
unsigned default_threads() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  const int processors = ::sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
  return static_cast<unsigned>(std::clamp(processors / 2, 1, static_cast<int>(limits::kIoThreadsMax)));
}

}  // namespace

std::size_t FrontEnd::State::stream_index(std::string_view name) const {
  return static_cast<std::size_t>(std::find(streams.begin(), streams.end(), name) - streams.begin());
}

FrontEnd::FrontEnd(std::unique_ptr<State> state) : state_(std::move(state)) {}

FrontEnd::~FrontEnd() {
  stop(std::chrono::nanoseconds(0));
}

Result<std::unique_ptr<FrontEnd>> FrontEnd::create(const IoOptions& io, const LimitOptions& limits,
                                                   const std::vector<std::string>& streams) {
  auto state = std::make_unique<State>(limits);
  state->streams = streams;
  const unsigned threads = io.threads == 0 ? default_threads() : std::min(io.threads, limits::kIoThreadsMax);
  for (unsigned i = 0; i < threads; ++i) {
    auto thread = IoThread::create(state->shared, i, streams.size(), io.ring_bytes);
    if (!thread) return thread.error();
    state->shared.threads.push_back(std::move(*thread));
  }
  return std::unique_ptr<FrontEnd>(new FrontEnd(std::move(state)));
}

std::vector<RingEnd> FrontEnd::rings(std::string_view stream) {
  const std::size_t index = state_->stream_index(stream);
  FASTLOGD_CHECK(index < state_->streams.size());
  std::vector<RingEnd> ends;
  for (const auto& thread : state_->shared.threads) {
    StreamEnd& end = thread->stream(index);
    ends.push_back(RingEnd{.ring = end.ring.get(),
                           .loss = end.loss.get(),
                           .space = &thread->wake_signal(),
                           .progress = end.progress.get(),
                           .acks = &thread->wake_signal()});
  }
  return ends;
}

void FrontEnd::set_data_signal(std::string_view stream, ring::WakeSignal& signal) {
  FASTLOGD_CHECK(!state_->started);
  const std::size_t index = state_->stream_index(stream);
  FASTLOGD_CHECK(index < state_->streams.size());
  for (const auto& thread : state_->shared.threads) thread->stream(index).data = &signal;
}

void FrontEnd::set_stream_progress(std::string_view stream, const StreamProgress& progress) {
  FASTLOGD_CHECK(!state_->started);
  const std::size_t index = state_->stream_index(stream);
  FASTLOGD_CHECK(index < state_->streams.size());
  for (const auto& thread : state_->shared.threads) thread->stream(index).acks->set_stream_progress(progress);
}

void FrontEnd::set_known_numbers(std::string_view stream, const ClientNumbers& known) {
  FASTLOGD_CHECK(!state_->started);
  const std::size_t index = state_->stream_index(stream);
  FASTLOGD_CHECK(index < state_->streams.size());
  for (const auto& thread : state_->shared.threads) thread->stream(index).known = &known;
}

void FrontEnd::apply_limits(const LimitOptions& limits) {
  state_->shared.limits.publish(std::make_shared<const LimitOptions>(limits));
}

void FrontEnd::start() {
  FASTLOGD_CHECK(!state_->started);
  state_->started = true;
  for (const auto& thread : state_->shared.threads) thread->start();
}

bool FrontEnd::stop(std::chrono::nanoseconds bound) {
  if (state_->stopped) return true;
  state_->stopped = true;
  state_->active.clear();  // removes the socket files: nobody new finds us
  if (!state_->started) return true;
  const std::int64_t deadline_ns = monotonic_ns() + bound.count();
  for (const auto& thread : state_->shared.threads) thread->stop_by(deadline_ns);
  bool complete = true;
  for (const auto& thread : state_->shared.threads) {
    thread->join();
    complete = complete && thread->abandoned() == 0;
  }
  return complete;
}

void FrontEnd::for_each_counters(const std::function<void(const CountersEntry&)>& visit) const {
  const std::lock_guard lock(state_->mutex);
  for (const auto& row : state_->counters) visit(row.entry);
}

unsigned FrontEnd::open_connections() const {
  return state_->shared.open_connections.load(std::memory_order_relaxed);
}

std::vector<BoundAddress> FrontEnd::bound_addresses() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bound;
}

std::vector<std::string> FrontEnd::listeners_without_file() const {
  std::vector<std::string> names;
  for (const ActiveListener& one : state_->active) {
    if (one.has_lost_its_file()) names.push_back(one.listener->options.name);
  }
  return names;
}

std::vector<std::uint64_t> FrontEnd::duty_cycles() const {
  std::vector<std::uint64_t> cycles;
  for (const auto& thread : state_->shared.threads) cycles.push_back(thread->duty_cycles());
  return cycles;
}

std::vector<pid_t> FrontEnd::thread_ids() const {
  std::vector<pid_t> ids;
  for (const auto& thread : state_->shared.threads) ids.push_back(thread->thread_id());
  return ids;
}

unsigned FrontEnd::io_threads() const {
  return static_cast<unsigned>(state_->shared.threads.size());
}

}  // namespace fastlogd::ingest
