#include "ingest/io_thread.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "ingest/datagram_receiver.hpp"
#include "ingest/stream_acceptor.hpp"
#include "ingest/stream_session.hpp"

namespace fastlogd::ingest {
namespace {

constexpr int kHandlersPerCycle = 32;  // then publish: a busy thread must not keep an idle appender waiting
constexpr auto kTick = std::chrono::milliseconds(250);
constexpr unsigned kCyclesWithoutEventsMax = 16;  // while channels are polled and nobody naps
// While nothing comes, rests of 4 and 16 us and four of 64 us, and then, for who looks on for so long, of a millisecond
// that ends with any event. A silence costs few of them: each takes some 10 to 25 us of the processor.
constexpr long kFirstNapNanos = 4'000;
constexpr unsigned kLongerNapsMax = 2;
constexpr unsigned kNapsMax = 6;
constexpr auto kDoze = std::chrono::milliseconds(1);
constexpr auto kStoppingTick = std::chrono::milliseconds(10);

std::int32_t utc_offset_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return static_cast<std::int32_t>(local.tm_gmtoff);
}

}  // namespace

Result<std::unique_ptr<IoThread>> IoThread::create(IoShared& shared, unsigned index, std::size_t streams,
                                                   std::size_t ring_bytes) {
  std::unique_ptr<IoThread> thread(new IoThread(shared, index));
  auto wake = ring::WakeSignal::create();
  if (!wake) return wake.error();
  thread->wake_ = std::move(*wake);
  UniqueFd wake_fd(::fcntl(thread->wake_->fd(), F_DUPFD_CLOEXEC, 0));
  if (!wake_fd) return errno_error("duplicate the eventfd of a wake signal");
  thread->wake_waiter_ = std::make_unique<FdWaiter>(thread->context_, std::move(wake_fd));
  for (std::size_t i = 0; i < streams; ++i) {
    auto ring = ring::ByteRing::create(ring_bytes);
    if (!ring) return ring.error();
    StreamEnd end;
    end.ring = std::move(*ring);
    end.loss = std::make_unique<ingress::RingLoss>();
    end.progress = std::make_unique<RingProgress>();
    end.acks = std::make_unique<AckBoard>(*end.progress);
    end.writer = std::make_unique<BlockWriter>(*end.ring);
    thread->streams_.push_back(std::move(end));
  }
  return thread;
}

IoThread::IoThread(IoShared& shared, unsigned index)
    : shared_(shared), index_(index), limits_(shared.limits), utc_offset_seconds_(utc_offset_now()) {}

IoThread::~IoThread() {
  FASTLOGD_CHECK(!thread_.joinable());
}

void IoThread::start() {
  thread_ = std::thread([this] { run(); });
}

void IoThread::join() {
  if (thread_.joinable()) thread_.join();
  owner_.release();
}

void IoThread::run() {
  owner_.check();
  set_thread_name(fmt::format("fl-io-{}", index_).c_str());
  thread_id_.store(::gettid(), std::memory_order_relaxed);
  ::prctl(PR_SET_TIMERSLACK, 1000UL);  // a nap of 4 us is meant to be one
  schedule_tick();
  while (!(draining_ && !anything_left())) {
    current_limits_ = &limits_.current();
    if (dozes_) doze();
    if (polled_.empty()) {
      wait_for_events();
    } else {
      look_at_polled();
    }
    finish_cycle();
    duty_cycles_.add();
  }
  tick_timer_.cancel();
  wake_waiter_->close();
  work_.reset();
  context_.poll();  // the cancelled handlers, whose memory is ours
}

void IoThread::wait_for_events() {
  static_cast<void>(look_again_ ? context_.poll_one() : context_.run_one());
  for (int i = 1; i < kHandlersPerCycle && context_.poll_one() > 0; ++i) {
  }
}

void IoThread::something_came() {
  dozes_ = false;
  if (idle_since_ns_ == 0) return;
  window_.waited(monotonic_ns() - idle_since_ns_);
  idle_since_ns_ = 0;
  looks_on_ = true;
  rests_in_a_row_ = 0;
}

void IoThread::nothing_came() {
  const std::int64_t now = monotonic_ns();
  if (idle_since_ns_ == 0) idle_since_ns_ = now;
  looks_on_ = now - idle_since_ns_ < window_.nanos();
  if (looks_on_) {
    std::this_thread::yield();
  } else if (!polled_.empty()) {
    rest();
  }
}

void IoThread::rest() {
  ++rests_;
  if (rests_in_a_row_ == kNapsMax) {
    dozes_ = true;
    return;
  }
  const timespec nap{.tv_sec = 0,
                     .tv_nsec = kFirstNapNanos << 2 * std::min(rests_in_a_row_++, kLongerNapsMax)};
  static_cast<void>(::nanosleep(&nap, nullptr));
}

/// At the top of the next cycle: finish_cycle() has to arrange for being woken first.
void IoThread::doze() {
  dozes_ = false;
  if (!look_again_) static_cast<void>(context_.run_one_for(kDoze));
}

void IoThread::look_at_polled() {
  bool worked = false;
  for (std::size_t i = polled_.size(); i-- > 0;) {  // backwards: one may leave
    Channel& channel = *polled_[i];
    const Channel::Polled found = channel.poll();
    worked = worked || found == Channel::Polled::worked;
    if (found != Channel::Polled::done || i >= polled_.size() || polled_[i] != &channel) continue;
    channel.polled_ = false;
    polled_[i] = polled_.back();
    polled_.pop_back();
  }
  worked ? something_came() : nothing_came();
  if (looks_on_ && ++cycles_without_events_ < kCyclesWithoutEventsMax) return;
  cycles_without_events_ = 0;
  for (int i = 0; i < kHandlersPerCycle && context_.poll_one() > 0; ++i) {
  }
}

void IoThread::poll(Channel& channel) {
  if (channel.polled_) return;
  something_came();
  channel.polled_ = true;
  polled_.push_back(&channel);
}

void IoThread::finish_cycle() {
  deliver_progress();
  for (StreamEnd& stream : streams_) {
    if (!stream.writer->dirty()) continue;
    stream.writer->publish();
    if (stream.data != nullptr) stream.data->notify();
  }
  look_again_ = false;
  if (!polled_.empty() && !dozes_) {  // the next cycle doesn't sleep, or not for long
    if (any_room()) resume_paused();
  } else if (needs_wake()) {
    arm_wake();
  }
  std::erase_if(retired_, [](const std::unique_ptr<Channel>& channel) { return !channel->waiting(); });
}

void IoThread::schedule_tick() {
  tick_timer_.expires_after(stopping_ ? kStoppingTick : kTick);
  tick_timer_.async_wait(RecyclingHandler(tick_memory_, [this](const boost::system::error_code& error) {
    if (!error) tick();
  }));
}

void IoThread::tick() {
  const std::int64_t now = monotonic_ns();
  utc_offset_seconds_ = utc_offset_now();
  for (std::size_t i = channels_.size(); i-- > 0;)
    channels_[i]->tick(now);  // backwards: one may retire itself
  if (stopping_ && now >= stop_deadline_ns_.load(std::memory_order_relaxed)) abandon_all();
  schedule_tick();
}

bool IoThread::needs_wake() const {
  return !paused_.empty() || std::any_of(streams_.begin(), streams_.end(), [](const StreamEnd& stream) {
    return stream.acks->anybody_waits();
  });
}

void IoThread::deliver_progress() {
  for (StreamEnd& stream : streams_) static_cast<void>(stream.acks->deliver());
}

/// The sleeper's half of WakeSignal, for room in the rings and for watermarks; whoever moves them is the waker. All
/// conditions are looked at after arming, also when that was in an earlier cycle: who waits may be new. If one holds,
/// the next cycle doesn't sleep.
void IoThread::arm_wake() {
  if (!wake_armed_) wake_->arm();
  const bool room = any_room();
  look_again_ = room || std::any_of(streams_.begin(), streams_.end(), [](const StreamEnd& stream) {
                  return stream.acks->anybody_waits() && stream.acks->moved();
                });
  if (look_again_) {
    if (!wake_armed_) wake_->disarm();
    if (room) resume_paused();
    return;
  }
  if (wake_armed_) return;
  wake_armed_ = true;
  wake_waiter_->wait([this] {
    wake_->disarm();
    wake_armed_ = false;
    resume_paused();
  });
}

bool IoThread::any_room() const {
  return std::any_of(paused_.begin(), paused_.end(), [](Channel* channel) { return channel->has_room(); });
}

void IoThread::resume_paused() {
  resuming_.swap(paused_);
  for (std::size_t i = 0; i < resuming_.size(); ++i) {     // by index: a new channel makes room in the list
    if (!resuming_[i]->finished()) resuming_[i]->ready();  // may pause again
  }
  resuming_.clear();
}

void IoThread::adopt(std::unique_ptr<Channel> channel) {
  owner_.check();
  Channel& added = *channel;
  added.index_ = channels_.size();
  channels_.push_back(std::move(channel));
  // Room for every channel in every list now, so that back-pressure allocates nothing.
  for (std::vector<Channel*>* list : {&paused_, &resuming_, &polled_}) list->reserve(channels_.capacity());
  added.open();
  if (draining_ && !added.finished()) added.drain(CloseReason::shutdown);
}

void IoThread::adopt_listener(ListenerPtr listener, UniqueFd fd, std::unique_ptr<DatagramSlab> slab) {
  if (slab == nullptr) {
    adopt(std::make_unique<StreamAcceptor>(*this, std::move(listener), std::move(fd)));
  } else {
    adopt(std::make_unique<DatagramReceiver>(*this, std::move(listener), std::move(fd), std::move(slab)));
  }
}

void IoThread::adopt_connection(ListenerPtr listener, UniqueFd fd) {
  adopt(std::make_unique<StreamSession>(*this, std::move(listener), std::move(fd)));
}

void IoThread::retire(Channel& channel) {
  std::unique_ptr<Channel> leaving = std::move(channels_[channel.index_]);
  if (channel.index_ + 1 != channels_.size()) {
    channels_[channel.index_] = std::move(channels_.back());
    channels_[channel.index_]->index_ = channel.index_;
  }
  channels_.pop_back();
  std::erase(paused_, &channel);
  if (std::exchange(channel.polled_, false)) std::erase(polled_, &channel);
  retired_.push_back(std::move(leaving));
}

void IoThread::replace_listener(const ListenerPtr& listener) {
  for (const auto& channel : channels_) {
    if (channel->listener().socket_id == listener->socket_id &&
        channel->kind() != Channel::Kind::connection) {
      channel->replace_listener(listener);
    }
  }
}

void IoThread::remove_listener(std::uint64_t socket_id) {
  for (std::size_t i = channels_.size(); i-- > 0;) {
    Channel& channel = *channels_[i];
    if (channel.listener().socket_id == socket_id && channel.kind() != Channel::Kind::connection) {
      channel.drain(CloseReason::removed);
    }
  }
  // Behind the connections this thread has already passed on, so none is missed.
  for (const auto& thread : shared_.threads) {
    thread->post([to = thread.get(), socket_id] { to->drain_connections(socket_id, CloseReason::removed); });
  }
}

void IoThread::drain_connections(std::uint64_t socket_id, CloseReason reason) {
  for (std::size_t i = channels_.size(); i-- > 0;) {
    if (channels_[i]->listener().socket_id == socket_id &&
        channels_[i]->kind() == Channel::Kind::connection) {
      channels_[i]->drain(reason);
    }
  }
}

void IoThread::stop_by(std::int64_t deadline_ns) {
  stop_deadline_ns_.store(deadline_ns, std::memory_order_relaxed);
  post([this] { begin_stop(); });
}

void IoThread::begin_stop() {
  stopping_ = true;
  tick_timer_.cancel();
  schedule_tick();
  for (std::size_t i = channels_.size(); i-- > 0;) {
    if (channels_[i]->kind() == Channel::Kind::acceptor) channels_[i]->drain(CloseReason::shutdown);
  }
  // Behind the connections this thread has passed on: who has heard this from everybody gets no more of them.
  for (const auto& thread : shared_.threads) {
    thread->post([to = thread.get()] { to->acceptors_closed_somewhere(); });
  }
}

void IoThread::acceptors_closed_somewhere() {
  if (++threads_without_acceptors_ < shared_.threads.size()) return;
  draining_ = true;
  for (std::size_t i = channels_.size(); i-- > 0;) channels_[i]->drain(CloseReason::shutdown);
}

void IoThread::abandon_all() {
  draining_ = true;
  for (std::size_t i = channels_.size(); i-- > 0;) channels_[i]->abandon();
}

void IoThread::count_abandoned(const Listener& listener, std::uint64_t records) {
  if (records == 0) return;
  listener.counters[index_]->received_records.add(records);
  listener.counters[index_]->dropped_records[static_cast<std::size_t>(DropReason::shutdown)].add(records);
  loss(listener).by_reason[static_cast<std::size_t>(ingress::LossReason::shutdown)].add(records);
  abandoned_.add(records);
}

}  // namespace fastlogd::ingest
