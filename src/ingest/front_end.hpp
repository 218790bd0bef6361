// Verb 1: sockets -> messages -> rings. The io threads and everything that listens.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ingest/ingest_counters.hpp"
#include "ingest/ingest_options.hpp"
#include "ingest/ring_keeper.hpp"
#include "record/client_numbers.hpp"
#include "record/ingress.hpp"
#include "record/progress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::ingest {

/// What a stream's appender holds of one io thread. All belong to the FrontEnd and live as long as it does.
struct RingEnd {
  ring::ByteRing* ring;           ///< the appender is the consumer
  const ingress::RingLoss* loss;  ///< read each cycle; growth becomes a GAP
  ring::WakeSignal* space;        ///< notify() after publish_space(): the io thread may wait for room
  RingProgress* progress;         ///< the appender writes, once per batch
  ring::WakeSignal*
      acks;  ///< notify() after a watermark has moved: the io thread may have records to acknowledge
};

/// A socket that somebody else bound and keeps (systemd). Closing our copy does not end it: it is never
/// unlinked and never drained to the end at stop, because the next daemon goes on reading it.
struct InheritedSocket {
  std::string
      name;  ///< LISTEN_FDNAMES; matches a listener of that name (a Unix socket only at the listener's own
             ///< path), or else one of the socket's own address
  UniqueFd fd;
};

struct BoundAddress {
  std::string listener;
  std::string path;        ///< unix-*
  std::string address;     ///< tcp, udp
  std::uint16_t port = 0;  ///< tcp, udp: the real one, also where the options say 0
};

/// What one listener counted on one io thread.
struct CountersEntry {
  std::string listener;
  ListenerTransport transport;
  std::string stream;
  std::shared_ptr<const ListenerCounters> counters;
};

/// Sockets that are bound and listen, but nobody reads yet. Dropping it undoes what prepare() did.
class PreparedListeners {
 public:
  PreparedListeners(PreparedListeners&&) noexcept;
  PreparedListeners& operator=(PreparedListeners&&) noexcept;
  ~PreparedListeners();

 private:
  friend class FrontEnd;
  struct State;
  explicit PreparedListeners(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Thread: the main thread makes, changes, stops and destroys it; methods marked "any thread" may be called
/// by others.
///
///     auto front_end = FrontEnd::create(io, limits, {"main"});        // rings exist
///     appender takes front_end->rings("main"); front_end->set_data_signal("main", appender's signal);
///     front_end->commit(*front_end->prepare(listeners, inherited));
///     front_end->start();
///     ...reload: prepare -> commit; apply_limits
///     front_end->stop(bound);     // the appender keeps draining meanwhile; afterwards every ring is final
class FrontEnd {
 public:
  /// Creates one ring per io thread and stream; no thread runs yet. Errors: memory, descriptors.
  [[nodiscard]] static Result<std::unique_ptr<FrontEnd>> create(const IoOptions& io,
                                                                const LimitOptions& limits,
                                                                const std::vector<std::string>& streams);
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;
  /// Stops without draining if stop() was not called.
  ~FrontEnd();

  /// One per io thread. `stream` is one of create()'s; CHECKed.
  [[nodiscard]] std::vector<RingEnd> rings(std::string_view stream);
  /// Before start(): the signal to notify when records of `stream` wait. It outlives the FrontEnd's threads.
  void set_data_signal(std::string_view stream, ring::WakeSignal& signal);
  /// Before start(): how far `stream` is on disk. It outlives the FrontEnd's threads. Without it nothing is ever
  /// acknowledged as synced.
  void set_stream_progress(std::string_view stream, const StreamProgress& progress);

  /// Before start(): up to which of their own numbers clients' records are in the log of `stream`; those are not stored
  /// again. It outlives the FrontEnd's threads.
  void set_known_numbers(std::string_view stream, const ClientNumbers& known);

  /// Before start(): who keeps the clients' shared memory for the daemon that comes after this one. It outlives the
  /// FrontEnd's threads.
  void set_ring_keeper(RingKeeper& keeper);
  /// After the first commit(), before start(): what the keeper has kept. Each ring is read once the io threads run, until
  /// its client comes or is gone (see ResumedRing). What is no ring is told of in the log and forgotten; a ring whose
  /// stream no listener feeds, or for which memory is short, is told of and stays kept.
  void resume_rings(std::vector<KeptRing> rings);

  /// Everything that may fail: binds, listens, checks who answers on a Unix path (stale: replaced; living:
  /// refused with the reason), sets modes. Nothing that runs is changed. A listener whose transport and
  /// address stay keeps its socket and its connections, unless its socket file is gone: then it is closed and
  /// opened anew. Its other options hold for new connections and datagrams. `inherited` is needed at the first
  /// call only: the FrontEnd keeps what it was given; what of it no listener reads is told of in the log. Errors
  /// name the listener and the reason.
  [[nodiscard]] Result<PreparedListeners> prepare(const std::vector<ListenerOptions>& listeners,
                                                  std::vector<InheritedSocket> inherited = {});
  /// The last prepare()'s result takes effect: new listeners are read, removed ones closed with their
  /// connections after what those had already sent is read.
  void commit(PreparedListeners prepared) noexcept;
  /// New limits, taken by each io thread at the top of its next duty cycle.
  void apply_limits(const LimitOptions& limits);

  void start();
  /// Closes the listeners first, then reads what was received in socket buffers, finishes unterminated
  /// messages and joins. What is not in a ring after `bound` is counted as dropped{shutdown}. True: nothing
  /// was.
  bool stop(std::chrono::nanoseconds bound);

  /// Counters of every listener that has been, in the order they were made; any thread. The same entry may be
  /// visited again by the next call; a listener has one for each io thread.
  void for_each_counters(const std::function<void(const CountersEntry&)>& visit) const;

  /// Any thread.
  [[nodiscard]] unsigned open_connections() const;
  /// Where the committed listeners listen.
  [[nodiscard]] std::vector<BoundAddress> bound_addresses() const;
  /// Unix listeners that nobody new finds: somebody has removed or replaced their socket files. Main thread, before
  /// stop().
  [[nodiscard]] std::vector<std::string> listeners_without_file() const;
  /// Duty cycles completed per io thread, idle ones included: at least one each second, or the thread hangs.
  /// Any thread.
  [[nodiscard]] std::vector<std::uint64_t> duty_cycles() const;
  /// Kernel thread ids of the running io threads, 0 before start(). Any thread.
  [[nodiscard]] std::vector<pid_t> thread_ids() const;
  [[nodiscard]] unsigned io_threads() const;

 private:
  struct State;
  explicit FrontEnd(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fastlogd::ingest
