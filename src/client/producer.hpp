// One thread's way to the daemon.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.hpp"
#include "client/link.hpp"
#include "fastlog/fastlog.h"
#include "ring/shared_producer.hpp"
#include "wire/shared_record.hpp"

namespace fastlogd::client {

/// What fastlog_options say, checked.
struct Settings {
  LinkOptions link;
  std::uint32_t flags = 0;
  std::uint32_t facility = 1;
  std::uint32_t wait_ms_max = 0;

  [[nodiscard]] bool drops() const { return (flags & FASTLOG_DROP) != 0; }
};

// clang-format off
/// Where its records go:
///
///     shared    into the ring that the daemon gave: reserve, fill, commit
///     socket    the daemon gave none: into a buffer, and from there to the daemon with send(2)
///     nowhere   no daemon has been reached yet: dropped
///
/// A ring outlives its connection. When the daemon has gone the thread goes on writing into it. With the next connection
/// what the old daemon had not given back is handed over, with the same numbers: into the new ring, or over the socket.
/// Until all of it is there
///
///     calls go on into the old ring, behind what waits in it      they never overtake it, and nobody waits but who finds
///                                                                 no room
///     nothing in the old ring is given up                         if this connection breaks, too, the next one gets all
///                                                                 of it, and the log knows what it has already
///
/// Thread: its owner, but where a method says otherwise. `slow_` is held while link and ring are replaced or the link is
/// listened to, so that other threads find them whole; the owner needs no lock to look at them, because nobody else
/// replaces them. When its thread has ended, one that flushes may take its place.
// clang-format on
class Producer {
 public:
  explicit Producer(const Settings& settings) : settings_(&settings) {}

  /// The first time; later it connects by itself. The error is kept for error().
  bool connect(Deadline deadline);

  /// Room for a slice of `n` bytes of a record whose message begins at `message_start`; null: `result` says why. What is
  /// reserved must be committed or cancelled before the next call.
  [[nodiscard]] char* reserve(std::size_t n, int& result) {
    if (doing_ != Doing::nothing) [[unlikely]] {
      result = refuse();
      return nullptr;
    }
    begin(Doing::call);
    if (where_ == Where::shared && n <= record_bytes_max_) [[likely]] {
      const auto room = ring_.reserve(start_ + n);
      if (!room.empty()) [[likely]] {
        reserved_ = reinterpret_cast<char*>(room.data());
        reserved_bytes_ = n;
        return reserved_ + start_;
      }
    }
    return reserve_slowly(n, result);
  }

  /// `n` bytes of what was reserved are the slice.
  int commit(std::uint8_t severity, std::uint32_t message_start, std::size_t n) {
    const Priority priority{static_cast<std::uint8_t>(settings_->facility * 8 + severity)};
    if (where_ != Where::shared) [[unlikely]]
      return commit_to_socket(priority, message_start, n);
    wire::write_shared_record(reinterpret_cast<std::byte*>(reserved_), next_number_, priority, message_start,
                              n, start_ == wire::shared_record_start(true) ? realtime_ns() : kNoTime);
    const bool attend = ring_.commit(start_ + n);
    last_number_.store(next_number_++, std::memory_order_release);
    if (attend || ring_.written() - looked_at_ > look_every_) [[unlikely]]
      look_at_daemon(attend);
    end();
    return FASTLOG_OK;
  }
  void cancel() {
    if (has_reserved()) end();
  }
  [[nodiscard]] bool has_reserved() const { return doing_ == Doing::call; }
  [[nodiscard]] std::size_t reserved_bytes() const { return reserved_bytes_; }
  /// Of what is reserved, for who says it before and not with commit().
  void note_severity(std::uint8_t severity) { severity_ = severity; }
  [[nodiscard]] std::uint8_t noted_severity() const { return severity_; }

  /// Any thread. What was committed before has reached `level`, or a result that says why not. From a signal handler that
  /// has interrupted a call of the owner: FASTLOG_ERROR_FULL.
  int flush(int level, Deadline deadline);

  /// The log ends: waits until the daemon has stored everything. False: there is none.
  bool finish(Deadline deadline);
  /// In a forked child: the parent's.
  void abandon();

  // ---- Any thread ----
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t written() const { return last_number_.load(std::memory_order_acquire); }
  [[nodiscard]] bool shares() const { return shares_.load(std::memory_order_relaxed); }
  [[nodiscard]] const std::string& error() const { return error_; }
  /// The daemon has said that all of it has reached `level`, or nobody ever will, and its thread has ended. False also while
  /// somebody flushes it. `to_say` is set where a flush would have said FASTLOG_ERROR_REFUSED. The caller keeps others from
  /// taking its place.
  [[nodiscard]] bool is_drained(int level, bool& to_say);
  /// The thread of it has ended. True: the calling one has taken its place, and nobody else does until leave().
  [[nodiscard]] bool take_place();
  /// The owner ends, or gives the place back. What a signal handler lost in its last call is told.
  void leave() {
    end();
    tell_dropped();
    owner_.store(std::thread::id());
  }

 private:
  enum class Where : std::uint8_t { nowhere, shared, socket };
  /// What the owner is in the middle of, for its signal handlers: ring and link may be half replaced then, and its locks held.
  enum class Doing : std::uint8_t {
    nothing,
    call,   ///< from reserve to commit
    flush,  ///< or finish
  };

  // Volatile, and a fence for the compiler: what a handler must not see half done stays between the two.
  void begin(Doing what) {
    doing_ = what;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void end() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    doing_ = Doing::nothing;
  }
  /// A flush of the owner, however it ends.
  class Flushing {
   public:
    explicit Flushing(Producer& producer) : producer_(producer) { producer_.begin(Doing::flush); }
    Flushing(const Flushing&) = delete;
    Flushing& operator=(const Flushing&) = delete;
    ~Flushing() {
      producer_.tell_dropped();  // what handlers lost meanwhile
      producer_.end();
    }

   private:
    Producer& producer_;
  };

  [[nodiscard]] char* reserve_slowly(std::size_t n, int& result);
  [[nodiscard]] int make_room(std::size_t n);
  bool look_for_room();
  /// A record was lost before it got into the ring: in the middle of a call, or of another one (from a signal handler).
  int drop(int why);
  int refuse();
  void tell_dropped();
  int commit_to_socket(Priority priority, std::uint32_t message_start, std::size_t n);
  void fill_batch(Priority priority, std::uint32_t message_start, std::string_view slice);
  [[nodiscard]] int send_batch();
  enum class Sent : std::uint8_t { all, late, broken };
  [[nodiscard]] Sent send_all(std::string_view bytes, Deadline deadline, bool has_lock);
  [[nodiscard]] Sent ask(std::string_view message, Deadline deadline);
  void break_link();
  void listen_between();
  [[nodiscard]] bool hear_if_free();
  [[nodiscard]] bool hear();
  [[nodiscard]] bool ask_once(std::uint64_t number);
  void note(const wire::NativeReply& reply);
  void look_at_daemon(bool asked);
  [[nodiscard]] bool open_link(Deadline deadline);
  bool connect_again(Deadline deadline);
  bool connect_in_call();
  bool reconnect_sometimes();
  [[nodiscard]] std::uint64_t first_unread();
  void take(Link link);
  void settle();
  void take_back_untold();
  void tell_copied();
  void lose_link();

  // With slow_. What a link needs to be handed over, and how far that is.
  enum class Handed : std::uint8_t { all, some, broken };
  enum class Moved : std::uint8_t { on, no_room, broken };
  [[nodiscard]] Handed hand_over(Deadline deadline);
  [[nodiscard]] Moved copy_some(std::uint64_t end);
  [[nodiscard]] Moved send_some(std::uint64_t end);
  void fill_buffer(std::uint64_t end);
  void proceed(Deadline deadline);
  void proceed_in_call(Deadline deadline);
  [[nodiscard]] Deadline patience() const;
  [[nodiscard]] int flush_as_owner(int level, Deadline deadline);
  [[nodiscard]] int flush_once(int level, Deadline deadline);
  [[nodiscard]] int listen_until(int level, std::uint64_t number, Deadline deadline);
  [[nodiscard]] std::uint64_t reached(int level) const { return level == FASTLOG_SYNCED ? synced_ : stored_; }
  [[nodiscard]] int say();
  [[nodiscard]] bool holds_nothing() const {
    return where_ != Where::shared || ring_.read() == ring_.written();
  }
  [[nodiscard]] bool is_owner() const { return owner_.load() == std::this_thread::get_id(); }

  const Settings* settings_;
  ring::SharedProducer ring_;
  char* reserved_ = nullptr;
  std::size_t reserved_bytes_ = 0;
  std::size_t record_bytes_max_ = 0;
  std::size_t start_ = 0;  ///< of a slice, behind the payload's beginning
  std::uint64_t next_number_ = 1;
  const ClientId id_ = random_client_id();     ///< of these numbers, whichever daemon gets them
  std::uint64_t looked_at_ = 0;                ///< position at the last look at the daemon
  std::uint64_t look_every_ = 0;               ///< bytes
  std::uint64_t read_then_ = 0;                ///< what the daemon had given back then
  std::uint64_t full_at_ = ~std::uint64_t{0};  ///< the same, when the daemon was last rung for room
  std::uint64_t unread_ = 0;  ///< from here on the ring is handed over; it may be given back meanwhile
  unsigned unheard_ = 0;      ///< socket: records since the daemon was listened to
  std::uint8_t severity_ = 0;
  volatile Doing doing_ = Doing::nothing;
  Where where_ = Where::nowhere;

  std::atomic<std::uint64_t> last_number_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> shares_{false};
  std::atomic<std::uint64_t> dropped_untold_{0};  ///< of those, what no ring's count has yet

  std::timed_mutex slow_;
  std::timed_mutex
      sending_;  ///< without shared memory: a BATCH and another thread's FLUSH don't mix; taken after slow_
  Link link_;
  std::uint64_t stored_ = 0;  ///< as this link's daemon has said
  std::uint64_t synced_ = 0;
  bool asked_ = false;         ///< for all it has written, by is_drained()
  bool to_say_ = false;        ///< by the next flush: refused, or on its way when a socket broke
  ring::SharedMemory memory_;  ///< behind ring_
  /// Of a link that has not got all yet of what the ring holds.
  struct Next {
    bool waits = false;
    ring::SharedMemory memory;  ///< none: it goes over the socket
    ring::SharedProducer ring;
    std::size_t wanted = 0;       ///< bytes of the payload that found no room there
    std::uint64_t handed = 0;     ///< position in ring_
    std::size_t sent = 0;         ///< of buffer_
    std::uint64_t too_large = 0;  ///< records that its ring can't hold
  } next_;
  ring::ConsumerPage stays_;  ///< what ring_ believes meanwhile: nothing is given back
  std::chrono::steady_clock::time_point next_try_{};
  std::string
      buffer_;        ///< socket: what is to be sent; the owner's, with slow_ while something is handed over
  std::string text_;  ///< socket: what is reserved
  std::string error_;
  std::atomic<std::thread::id> owner_{std::this_thread::get_id()};  ///< none: its thread has ended
};

}  // namespace fastlogd::client
