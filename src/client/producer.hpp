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
/// A ring outlives its connection. When the daemon has gone the thread goes on writing into it; with the next connection
/// what the old daemon had not given back is written again, with the same numbers, into the new ring.
///
/// Thread: its owner, but where a method says otherwise. `slow_` is held while the link is replaced or listened to, so
/// that flush() of another thread finds it whole; the owner's bell needs no lock, because only the owner replaces the link.
// clang-format on
class Producer {
 public:
  explicit Producer(const Settings& settings) : settings_(&settings) {}

  /// The first time; later it connects by itself. The error is kept for error().
  bool connect(Deadline deadline);

  /// Room for a slice of `n` bytes of a record whose message begins at `message_start`; null: `result` says why. What is
  /// reserved must be committed or cancelled before the next call.
  [[nodiscard]] char* reserve(std::size_t n, int& result) {
    if (busy_) [[unlikely]] {
      result = drop(FASTLOG_ERROR_FULL);
      return nullptr;
    }
    busy_ = true;
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
    busy_ = false;
    return FASTLOG_OK;
  }
  void cancel() { busy_ = false; }
  [[nodiscard]] bool has_reserved() const { return busy_; }
  [[nodiscard]] std::size_t reserved_bytes() const { return reserved_bytes_; }

  /// A record was lost before it got here.
  int drop(int why);

  /// Any thread. What was committed before has reached `level`, or a result that says why not.
  int flush(int level, Deadline deadline);

  /// The log ends: waits until the daemon has stored everything. False: there is none.
  bool finish(Deadline deadline);
  /// The daemon has stored all of it.
  [[nodiscard]] bool is_drained() const { return where_ != Where::shared || ring_.read() == ring_.written(); }
  /// In a forked child: the parent's.
  void abandon();

  // ---- Any thread ----
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t written() const { return last_number_.load(std::memory_order_acquire); }
  [[nodiscard]] bool shares() const { return shares_.load(std::memory_order_relaxed); }
  [[nodiscard]] const std::string& error() const { return error_; }
  /// A thread that takes the place of the one that has ended.
  void become_owner() { owner_ = std::this_thread::get_id(); }

 private:
  enum class Where : std::uint8_t { nowhere, shared, socket };

  [[nodiscard]] char* reserve_slowly(std::size_t n, int& result);
  [[nodiscard]] bool wait_for_room(std::size_t n, int& result);
  int commit_to_socket(Priority priority, std::uint32_t message_start, std::size_t n);
  [[nodiscard]] int send_batch();
  void look_at_daemon(bool asked);
  bool connect_again(Deadline deadline);
  bool reconnect_sometimes();
  [[nodiscard]] std::uint64_t first_unread();
  void take(Link link);
  bool write_again(ring::SharedProducer& old);
  bool send_again(const ring::SharedProducer& old);
  [[nodiscard]] int flush_once(int level, Deadline deadline);
  [[nodiscard]] int listen_until(int level, std::uint64_t number, Deadline deadline);
  [[nodiscard]] bool is_owner() const { return owner_ == std::this_thread::get_id(); }

  const Settings* settings_;
  ring::SharedProducer ring_;
  char* reserved_ = nullptr;
  std::size_t reserved_bytes_ = 0;
  std::size_t record_bytes_max_ = 0;
  std::size_t start_ = 0;  ///< of a slice, behind the payload's beginning
  std::uint64_t next_number_ = 1;
  const ClientId id_ = random_client_id();  ///< of these numbers, whichever daemon gets them
  std::uint64_t looked_at_ = 0;             ///< position at the last look at the daemon
  std::uint64_t look_every_ = 0;            ///< bytes
  std::uint64_t read_then_ = 0;             ///< what the daemon had given back then
  std::uint64_t unread_ = 0;  ///< from here on the old ring is written again; it may be given back meanwhile
  volatile bool busy_ = false;  ///< a call is under way; for signal handlers of this thread
  Where where_ = Where::nowhere;

  std::atomic<std::uint64_t> last_number_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> shares_{false};
  std::uint64_t dropped_untold_ = 0;  ///< while nobody read the count in the ring

  std::mutex slow_;
  std::mutex
      sending_;  ///< without shared memory: a BATCH and another thread's FLUSH don't mix; taken after slow_
  Link link_;
  std::uint64_t stored_ = 0;  ///< as this link's daemon has said
  std::uint64_t synced_ = 0;
  ring::SharedMemory memory_;  ///< behind ring_
  std::chrono::steady_clock::time_point next_try_{};
  std::string buffer_;  ///< socket: what is to be sent
  std::string text_;    ///< socket: what is reserved
  std::string error_;
  std::thread::id owner_ = std::this_thread::get_id();
};

}  // namespace fastlogd::client
