// What a struct fastlog_log is: its settings and its threads' producers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/producer.hpp"

namespace fastlogd::client {

/// A thread's producer in one log. The thread's own, whatever becomes of the log, and no longer changed once it is cached.
struct Seat {
  std::uint64_t log = 0;
  Producer* producer = nullptr;
  Seat* next = nullptr;
};
inline constexpr Seat kNobodys{};

/// Any thread. Producers are made by the thread that needs one, and stay until it ends, or until the log does.
class Log {
 public:
  explicit Log(Settings settings);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  /// Makes and connects the one of the thread that opens the log, before any other call. Throws where there is no memory.
  [[nodiscard]] Producer* open();
  /// The calling thread's, made and connected with its first call. Not null. Throws where there is no memory for it.
  [[nodiscard]] Producer* mine() {
    const Seat* const last = cached_.load(std::memory_order_relaxed);
    if (last->log == id_) [[likely]]
      return last->producer;
    return find_or_make();
  }

  /// Null: the calling thread has made no call yet.
  [[nodiscard]] Producer* mine_if_any();
  /// Any thread. A record was lost for want of a producer.
  void drop_homeless() { dropped_homeless_.fetch_add(1, std::memory_order_relaxed); }

  int flush(int level, Deadline deadline);
  [[nodiscard]] fastlog_counts counts();
  /// True: nothing is left to hand over.
  bool finish(Deadline deadline);

  /// The thread of `producer` ends.
  void release(Producer* producer);
  /// fork(2), in this order: before it, in the parent, in the child.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  void forget_parent();

  [[nodiscard]] std::uint64_t id() const { return id_; }

  /// Of the thread's last log: one word, because a signal handler may log into another one between two. No
  /// constructor and no guard: a read is one load.
  static constinit thread_local std::atomic<const Seat*> cached_ __attribute__((tls_model("initial-exec")));

 private:
  Producer* find_or_make();
  Producer* make(std::chrono::milliseconds wait);
  void forget_drained(int level = FASTLOG_STORED);

  const Settings settings_;
  const std::uint64_t id_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Producer>> producers_;
  std::vector<std::shared_ptr<Producer>>
      left_over_;  ///< of threads that ended, until the daemon has said that it has stored all
  std::uint64_t written_before_ = 0;  ///< of threads that ended
  std::uint64_t dropped_before_ = 0;
  bool to_say_ = false;  ///< by the next flush: FASTLOG_ERROR_REFUSED
  std::atomic<std::uint64_t> dropped_homeless_{0};
};

}  // namespace fastlogd::client
