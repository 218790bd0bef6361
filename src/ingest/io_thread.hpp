// One thread that owns sessions, framers and the write ends of its rings.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/snapshot.hpp"
#include "base/thread_role.hpp"
#include "ingest/ack_board.hpp"
#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "ingest/datagram_slab.hpp"
#include "ingest/process_names.hpp"
#include "ingest/returning_clients.hpp"
#include "ingest/ring_keeper.hpp"
#include "ingest/shared_quota.hpp"
#include "record/client_numbers.hpp"
#include "record/ingress.hpp"
#include "record/progress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/poll_window.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::ingest {

class IoThread;

/// What the io threads of one front end share. Made before they start.
struct IoShared {
  explicit IoShared(const LimitOptions& first) : limits(std::make_shared<const LimitOptions>(first)) {}

  SnapshotBox<LimitOptions> limits;
  std::vector<std::unique_ptr<IoThread>> threads;
  SharedQuota shared_quota;
  RingKeeper* keeper = nullptr;  ///< may be nobody
  ReturningClients returning;
  std::atomic<unsigned> open_connections{0};
  std::atomic<unsigned> next_thread{0};  ///< connections go round
};

/// The write side of one stream on one io thread.
struct StreamEnd {
  std::unique_ptr<ring::ByteRing> ring;
  std::unique_ptr<ingress::RingLoss> loss;
  std::unique_ptr<RingProgress> progress;
  std::unique_ptr<AckBoard> acks;
  std::unique_ptr<BlockWriter> writer;
  ring::WakeSignal* data = nullptr;      ///< the appender's
  const ClientNumbers* known = nullptr;  ///< what the log held of clients' own numbers at the start
};

/// Duty cycle: newest limits; wait for an event; a bounded number of handlers; tell connections what the appenders have
/// done; publish what was committed; arrange to be woken if a ring was full or somebody waits to acknowledge. Idle
/// cycles come with the tick.
///
/// With polled channels (shared memory; datagrams while they come fast) a cycle looks at those instead, and asks for
/// events, which is a system call, only now and then. One that finds nothing yields the processor; after a while in which
/// nothing has come (PollWindow) it rests: naps that hear nothing, each longer than the last one, and after a few of
/// them dozes that end with an event.
///
/// Thread: create, start, post and join by the main thread; `*_posted` and everything below "own thread" run
/// on the thread itself.
class IoThread {
 public:
  [[nodiscard]] static Result<std::unique_ptr<IoThread>> create(IoShared& shared, unsigned index,
                                                                std::size_t streams, std::size_t ring_bytes);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // ---- Main thread ----
  void start();
  void join();
  /// Runs `command` on this thread, in the order posted.
  template <class Command>
  void post(Command command) {
    asio::post(context_, std::move(command));
  }
  /// Closes acceptors, waits until every other thread has too, drains, ends. What is left at `deadline`
  /// (monotonic) is dropped and counted.
  void stop_by(std::int64_t deadline_ns);
  [[nodiscard]] StreamEnd& stream(std::size_t index) { return streams_[index]; }
  /// Wakes the thread when a ring has room again or a watermark has moved.
  [[nodiscard]] ring::WakeSignal& wake_signal() { return *wake_; }

  // ---- Any thread ----
  [[nodiscard]] std::uint64_t duty_cycles() const { return duty_cycles_.value(); }
  [[nodiscard]] pid_t thread_id() const { return thread_id_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t abandoned() const { return abandoned_.value(); }

  // ---- Own thread: for commands ----
  void adopt(std::unique_ptr<Channel> channel);
  /// `slab` for datagrams, null for streams.
  void adopt_listener(ListenerPtr listener, UniqueFd fd, std::unique_ptr<DatagramSlab> slab);
  void adopt_connection(ListenerPtr listener, UniqueFd fd);
  void replace_listener(const ListenerPtr& listener);
  /// Closes the listening or datagram socket here, then has every thread drain the connections that came from
  /// it.
  void remove_listener(std::uint64_t socket_id);

  // ---- Own thread: for channels ----
  [[nodiscard]] unsigned index() const { return index_; }
  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] IoShared& shared() { return shared_; }
  [[nodiscard]] const LimitOptions& limits() const { return *current_limits_; }
  [[nodiscard]] BlockWriter& writer(const Listener& listener) { return *streams_[listener.stream].writer; }
  [[nodiscard]] ingress::RingLoss& loss(const Listener& listener) { return *streams_[listener.stream].loss; }
  [[nodiscard]] AckBoard& acks(const Listener& listener) { return *streams_[listener.stream].acks; }
  /// Up to which of its own numbers a client's records are in the log from before the daemon's start, or from a ring that
  /// came back; 0: nobody knows.
  [[nodiscard]] std::uint64_t known_number(const Listener& listener, const ClientKey& client) const {
    const ClientNumbers* const known = streams_[listener.stream].known;
    return std::max(known == nullptr ? 0 : known->last_of(client),
                    shared_.returning.last_of(listener.stream, client));
  }
  [[nodiscard]] ProcessNames& process_names() { return process_names_; }
  [[nodiscard]] std::int32_t utc_offset_seconds() const { return utc_offset_seconds_; }
  void pause(Channel& channel) { paused_.push_back(&channel); }
  /// Calls its poll() each cycle until it says `done`; no cycle sleeps meanwhile.
  void poll(Channel& channel);
  /// Nothing has come, but soon something may: it pays to look again.
  [[nodiscard]] bool looks_on() const { return looks_on_ && window_.nanos() > 0; }
  /// How often this thread has rested with channels polled.
  [[nodiscard]] std::uint64_t rests() const { return rests_; }
  void retire(Channel& channel);
  void count_abandoned(const Listener& listener, std::uint64_t records);

 private:
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                 asio::io_context::executor_type>;

  IoThread(IoShared& shared, unsigned index);
  void run();
  void wait_for_events();
  void look_at_polled();
  void something_came();
  void nothing_came();
  void rest();
  void doze();
  void finish_cycle();
  void schedule_tick();
  void tick();
  [[nodiscard]] bool needs_wake() const;
  void deliver_progress();
  void arm_wake();
  [[nodiscard]] bool any_room() const;
  void resume_paused();
  void drain_connections(std::uint64_t socket_id, CloseReason reason);
  void begin_stop();
  void acceptors_closed_somewhere();
  void abandon_all();
  [[nodiscard]] bool anything_left() const { return !channels_.empty() || !retired_.empty(); }

  IoShared& shared_;
  const unsigned index_;
  std::vector<StreamEnd> streams_;
  std::unique_ptr<ring::WakeSignal> wake_;
  SnapshotReader<LimitOptions> limits_;
  const LimitOptions* current_limits_ = &limits_.current();  ///< taken at the top of each cycle
  ProcessNames process_names_;
  ThreadOwner owner_;

  HandlerMemory tick_memory_;  // outlives the context, which may hold the last tick
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  Timer tick_timer_{context_};
  std::unique_ptr<FdWaiter> wake_waiter_;

  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<std::unique_ptr<Channel>> retired_;
  std::vector<Channel*> paused_;
  std::vector<Channel*> resuming_;
  std::vector<Channel*> polled_;
  unsigned cycles_without_events_ = 0;
  ring::PollWindow window_;
  std::int64_t idle_since_ns_ = 0;  ///< 0: the last look has found something
  bool looks_on_ = true;            ///< the window has not passed
  std::uint64_t rests_ = 0;
  unsigned rests_in_a_row_ = 0;
  bool dozes_ = false;  ///< the next cycle begins with it
  std::int32_t utc_offset_seconds_ = 0;
  unsigned threads_without_acceptors_ = 0;
  bool stopping_ = false;
  bool draining_ = false;
  bool wake_armed_ = false;
  bool look_again_ = false;  ///< somebody who waits can be served: don't sleep
  std::atomic<std::int64_t> stop_deadline_ns_{0};

  Counter duty_cycles_;
  Counter abandoned_;
  std::atomic<pid_t> thread_id_{0};
  std::thread thread_;
};

}  // namespace fastlogd::ingest
