// A segment can't be trusted any more: how sync thread and appender agree to go on in the next one.
#pragma once

#include <atomic>
#include <cstdint>

#include "record/log_position.hpp"

namespace fastlogd::append {

// clang-format off
/// One failure at a time, handed over and back:
///
///     idle ──request()──► requested ──stated()──► stated ──settle()──► idle
///           sync thread              appender             sync thread
///
/// Between request and stated the durable position stands still. The appender rolls as soon as a prepared segment is
/// there; until then it goes on storing where it can, and nobody is told that this is durable. The new segment begins
/// with an OPEN of reason `failed`, which carries the durable position, and a GAP that names the records behind it.
/// Only when that segment has been synced does the durable position move past the failed one.
// clang-format on
class FailOver {
 public:
  // ---- Sync thread ----

  /// `first_unknown`: the oldest record that isn't known to be durable, or an older one.
  void request(std::uint64_t first_unknown) {
    first_unknown_ = first_unknown;
    state_.store(State::requested, std::memory_order_release);  // meets requested()
  }
  [[nodiscard]] bool is_stated() const { return state_.load(std::memory_order_acquire) == State::stated; }
  /// Index of the segment that begins with the statement; while is_stated().
  [[nodiscard]] std::uint64_t segment() const { return segment_; }
  /// Of the first record behind the statement; while is_stated().
  [[nodiscard]] std::uint64_t next_sequence() const { return next_sequence_; }
  void settle() { state_.store(State::idle, std::memory_order_relaxed); }

  // ---- Appender ----

  [[nodiscard]] bool requested() const { return state_.load(std::memory_order_acquire) == State::requested; }
  [[nodiscard]] std::uint64_t first_unknown() const { return first_unknown_; }
  /// After the statement was published.
  void stated(std::uint64_t segment, std::uint64_t next_sequence) {
    segment_ = segment;
    next_sequence_ = next_sequence;
    state_.store(State::stated, std::memory_order_release);  // meets is_stated()
  }

 private:
  enum class State : std::uint8_t { idle, requested, stated };
  std::atomic<State> state_{State::idle};
  std::uint64_t first_unknown_ = 0;  ///< owned by whose turn it is
  std::uint64_t segment_ = 0;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace fastlogd::append
