// What flows back from a stream's store to the io threads that wait to acknowledge: how far each ring has been
// dealt with, how far the log is on disk, and the exceptions to both.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/counter.hpp"
#include "record/ingress.hpp"
#include "record/log_position.hpp"

namespace fastlogd {

/// One moment of a ring, as its appender tells it.
struct RingPoint {
  std::uint64_t ring_position = 0;  ///< entries that end at or below it are dealt with: published, or dropped
  LogPosition log_position;         ///< every record of those entries that was published lies below it
  LogPosition settled;              ///< no record of a later entry lies below it
  std::uint64_t last_sequence = 0;  ///< no record of those entries has a higher sequence number
};

/// Records that left a ring and found no place in the log: those of the entries that end at first_end,
/// last_end, or between, but for the first `kept` messages of the first one, which were stored.
struct DroppedRange {
  std::uint64_t first_end = 0;  ///< ring position
  std::uint64_t last_end = 0;   ///< ring position
  std::uint32_t kept = 0;
  ingress::LossReason reason = ingress::LossReason::none;
};

// clang-format off
/// One per ring. The stream's appender writes, the io thread that fills the ring reads.
///
///     appender, once per batch                         io thread
///     1  committed_pos advances past the batch         a  point():  settled        (acquire)
///     2  push_dropped(range) if there is one           b            ring_position  (acquire)
///     3  publish():  log_position   (relaxed)          c            log_position   (relaxed)
///     4              ring_position  (release+)         d  dropped() / pop_dropped() while last_end <= ring_position
///     5              settled        (release)          e  ...acknowledge or refuse what ends at or below it
///     6  acks.notify()
///
/// Orders. 4 meets b: who sees a ring position sees the log position (3), the dropped ranges (2) and the records
/// (1) that belong to it, or later ones. A later log position is only conservative: the io thread waits for more
/// to become durable than it needs to. The other way round, c before b or 4 before 3, an entry of the new
/// position could be taken for durable at the log position of the one before.
/// `settled` is the same log position as an upper bound is to a lower one: 5 meets a, so that the ring position
/// loaded behind it is that old or newer, and what is still to come lies behind it.
/// 4 is a seq_cst store and ring_position_moved() a seq_cst load, because a sleeper re-checks it after
/// WakeSignal::arm(); see ring/wake_signal.hpp.
///
/// Dropped ranges are a queue of fixed size. When it is full the appender keeps the range (it may join it with
/// later ones) and publishes nothing: acknowledgements wait, the ring and the log do not. So a record that was
/// dropped is never acknowledged, whatever the io thread does.
// clang-format on
class RingProgress {
 public:
  // ---- Appender ----

  /// False: no more than `spare` places are free, and publish() must wait. Before the publish() that covers the range. Who
  /// doesn't publish at once leaves a place spare: a queue full of what was never published is popped by nobody.
  [[nodiscard]] bool push_dropped(const DroppedRange& range, std::size_t spare = 0) {
    const std::uint64_t put = put_.load(std::memory_order_relaxed);
    if (put - popped_.load(std::memory_order_acquire) + spare >= dropped_.size())
      return false;  // meets pop_dropped()
    dropped_[put % dropped_.size()] = range;
    put_.store(put + 1, std::memory_order_release);  // meets dropped()
    return true;
  }
  void publish(const RingPoint& point) {
    log_position_.store(point.log_position.value, std::memory_order_relaxed);
    last_sequence_.store(point.last_sequence, std::memory_order_relaxed);
    ring_position_.store(point.ring_position, std::memory_order_seq_cst);
    settled_.store(point.log_position.value, std::memory_order_release);
  }

  // ---- Io thread ----

  [[nodiscard]] RingPoint point() const {
    RingPoint point;
    point.settled.value = settled_.load(std::memory_order_acquire);  // in this order: see above
    point.ring_position = ring_position_.load(std::memory_order_acquire);
    point.log_position.value = log_position_.load(std::memory_order_relaxed);
    point.last_sequence = last_sequence_.load(std::memory_order_relaxed);
    return point;
  }
  /// The sleeper's re-check after WakeSignal::arm(): is there something beyond `seen`?
  [[nodiscard]] bool ring_position_moved(std::uint64_t seen) const {
    return ring_position_.load(std::memory_order_seq_cst) != seen;
  }
  /// The oldest range not popped yet; null if there is none. Its last_end may lie beyond a ring position that was
  /// loaded before.
  [[nodiscard]] const DroppedRange* dropped(std::size_t index = 0) const {
    const std::uint64_t at = popped_.load(std::memory_order_relaxed) + index;
    if (at >= put_.load(std::memory_order_acquire)) return nullptr;
    return &dropped_[at % dropped_.size()];
  }
  void pop_dropped() {
    popped_.store(popped_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  alignas(kCacheLinePair) std::atomic<std::uint64_t> ring_position_{0};
  std::atomic<std::uint64_t> log_position_{0};
  std::atomic<std::uint64_t> last_sequence_{0};
  std::atomic<std::uint64_t> settled_{0};
  std::atomic<std::uint64_t> put_{0};  ///< ranges ever pushed
  std::array<DroppedRange, limits::kDroppedRangesMax> dropped_{};
  alignas(kCacheLinePair) std::atomic<std::uint64_t> popped_{0};  ///< the io thread's
};

/// Whether records are on disk.
enum class Durable : std::uint8_t {
  pending,
  yes,
  unknown,  ///< a sync failed on them: they may or may not survive, and nobody will ever know more
};

// clang-format off
/// One per stream. Its sync thread writes (with dax: whoever moves durable_pos), any thread reads.
///
///     sync thread, a sync has succeeded                sync thread, a sync has failed for good
///     1  set_durable(position)  (seq_cst)              1  add_unknown(durable, end)   before anything behind `end`
///     2  acks.notify() of every io thread              2  acks.notify()               is made durable
///                                                      3  ...fails over, set_durable() beyond `end`
///
/// durable() alone would say that everything below it is on disk; after a failed sync that is not so. Therefore
/// the ranges are stored first, and state() loads the position first: whoever sees a position sees every range
/// below it.
///
/// The list is bounded and never gets shorter. When it is full its last range grows to cover the new one as well;
/// what was synced between the two and is asked for only then is called unknown, which is true of the asker.
// clang-format on
class StreamProgress {
 public:
  // ---- The thread that owns durable_pos ----

  /// Everything below `position` is on disk, but for the ranges added before.
  void set_durable(LogPosition position) { durable_.store(position.value, std::memory_order_seq_cst); }
  /// What lies in [from, to) was being synced when it failed. `to` above everything written so far means that
  /// nothing more of this run will become durable.
  void add_unknown(LogPosition from, LogPosition to) {
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (count == unknown_.size()) {
      unknown_.back().to.store(to.value, std::memory_order_seq_cst);
      return;
    }
    unknown_[count].from.store(from.value, std::memory_order_relaxed);
    unknown_[count].to.store(to.value, std::memory_order_relaxed);
    count_.store(count + 1, std::memory_order_seq_cst);  // meets state()
  }

  // ---- Any thread ----

  [[nodiscard]] LogPosition durable() const { return {durable_.load(std::memory_order_seq_cst)}; }
  /// Changes with every failed sync; with durable() the sleeper's re-check after WakeSignal::arm().
  [[nodiscard]] std::uint64_t failures() const {
    const std::size_t count = count_.load(std::memory_order_seq_cst);
    // A full list grows in place: its end tells.
    return count < unknown_.size() ? count : unknown_.back().to.load(std::memory_order_seq_cst);
  }
  /// Of records that lie in [from, to). A range that is only touched counts: conservative.
  [[nodiscard]] Durable state(LogPosition from, LogPosition to) const {
    const std::uint64_t durable = durable_.load(std::memory_order_acquire);
    const std::size_t count = count_.load(std::memory_order_acquire);
    for (std::size_t i = count; i-- > 0;) {
      if (from.value < unknown_[i].to.load(std::memory_order_relaxed) &&
          to.value > unknown_[i].from.load(std::memory_order_relaxed)) {
        return Durable::unknown;
      }
    }
    return to.value <= durable ? Durable::yes : Durable::pending;
  }

 private:
  struct Range {
    std::atomic<std::uint64_t> from{0};
    std::atomic<std::uint64_t> to{0};
  };

  alignas(kCacheLinePair) std::atomic<std::uint64_t> durable_{0};
  std::atomic<std::size_t> count_{0};
  std::array<Range, limits::kUnknownRangesMax> unknown_{};
};

}  // namespace fastlogd
