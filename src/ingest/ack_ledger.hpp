// Which of a client's record numbers are where: in the ring, in the log, on disk.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "record/progress.hpp"

namespace fastlogd::ingest {

/// Record numbers that a client must be told are not safe, with first <= last.
struct RefusedNumbers {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  ingress::LossReason reason = ingress::LossReason::none;  ///< none: the durability is unknown
};

// clang-format off
/// Record numbers of one connection, in order, on their way:
///
///     1 .. synced() | synced()+1 .. stored() | stored()+1 .. last() |
///       on disk     |  in the log: backlog_  |  in the ring: runs_  |
///
/// `runs_` is a queue of what went into the ring: numbers that follow one another and lie next to one another in one
/// entry. settle() takes out what the appender has dealt with. Each settle() makes one entry of `backlog_`: between
/// which log positions its numbers lie. sync() takes out what is on disk.
///
/// Fixed memory. When `runs_` is full the session stops reading until the appender has caught up. When `backlog_` is
/// full two neighbours are joined: an older record then counts as synced only together with its neighbours, which is
/// late by some percent of what waits, never early.
///
/// Numbers that were refused are passed over as soon as all before them are dealt with. Thread: an io thread.
// clang-format on
class AckLedger {
 public:
  static constexpr std::size_t kRunsMax = 128;
  static constexpr std::size_t kBacklogMax = 64;

  /// The connection's records begin with `first`.
  void start(std::uint64_t first) { next_ = first; }
  /// While nothing is in the ring: what comes next will lie behind `settled`.
  void nothing_before(LogPosition settled) { settled_ = settled; }

  /// The next number is message `index` of the block that is being built. False: no room, nothing was added.
  [[nodiscard]] bool add(std::uint64_t number, std::size_t index) {
    if (run_count_ > 0) [[likely]] {
      Run& last = back();
      if (last.ring_end == 0 && last.first + last.count == number && last.index + last.count == index) {
        ++last.count;
        next_ = number + 1;
        return true;
      }
    }
    return begin_run(number, index);
  }
  /// The next number is in no block: it was refused.
  void skip(std::uint64_t number) { next_ = number + 1; }
  /// The block is in the ring, and ends at this position.
  void committed(std::uint64_t ring_end);
  [[nodiscard]] bool has_room() const { return run_count_ < kRunsMax; }

  /// The appender has dealt with the ring up to `point`. `refuse(RefusedNumbers)` is called for what was dropped, in
  /// order.
  template <class Refuse>
  void settle(const RingPoint& point, const RingProgress& progress, Refuse refuse) {
    const std::uint64_t before = stored();
    for (; run_count_ > 0 && front().ring_end <= point.ring_position && front().ring_end != 0; pop_front()) {
      for (std::size_t i = 0; const DroppedRange* range = progress.dropped(i); ++i) {
        const std::uint64_t refused = dropped_from(front(), *range);
        if (refused == 0) continue;
        refuse(RefusedNumbers{refused, front().first + front().count - 1, range->reason});
        break;  // the rest of the entry is gone, whatever comes later
      }
    }
    if (stored() > before) {
      if (backlog_count_ == 0) synced_ = before;
      remember({.last = stored(), .from = settled_, .to = point.log_position});
    }
    settled_ = point.settled;
  }

  /// The watermark or the list of failures has moved. `refuse` is called for what a failed sync left unknown.
  template <class Refuse>
  void sync(const StreamProgress& progress, Refuse refuse) {
    std::size_t done = 0;
    for (; done < backlog_count_; ++done) {
      const Stored& oldest = backlog_[done];
      const Durable state = progress.state(oldest.from, oldest.to);
      if (state == Durable::pending) break;
      const std::uint64_t first = synced_ + 1;
      synced_ = oldest.last;
      if (state == Durable::unknown) refuse(RefusedNumbers{first, oldest.last});
    }
    forget(done);
  }

  [[nodiscard]] std::uint64_t last() const { return next_ - 1; }
  /// Everything up to it is in the log or was refused.
  [[nodiscard]] std::uint64_t stored() const { return run_count_ == 0 ? last() : front().first - 1; }
  /// Everything up to it is on disk or was refused.
  [[nodiscard]] std::uint64_t synced() const { return backlog_count_ == 0 ? stored() : synced_; }
  /// Something is in the ring.
  [[nodiscard]] bool waits_for_appender() const { return run_count_ > 0; }

 private:
  struct Run {
    std::uint64_t ring_end = 0;  ///< 0: its block is not committed yet
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t index = 0;  ///< of the first one in its entry
  };
  struct Stored {
    std::uint64_t last = 0;
    LogPosition from;
    LogPosition to;
  };

  [[nodiscard]] Run& front() { return runs_[first_run_ % kRunsMax]; }
  [[nodiscard]] const Run& front() const { return runs_[first_run_ % kRunsMax]; }
  [[nodiscard]] Run& back() { return runs_[(first_run_ + run_count_ - 1) % kRunsMax]; }
  void pop_front() {
    ++first_run_;
    --run_count_;
  }
  [[nodiscard]] bool begin_run(std::uint64_t number, std::size_t index);
  [[nodiscard]] static std::uint64_t dropped_from(const Run& run, const DroppedRange& range);
  void remember(const Stored& stored);
  void join_smallest_pair();
  void forget(std::size_t oldest);

  std::array<Run, kRunsMax> runs_{};
  std::size_t first_run_ = 0;
  std::size_t run_count_ = 0;
  std::array<Stored, kBacklogMax> backlog_{};
  std::size_t backlog_count_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t synced_ = 0;  ///< only with a backlog
  LogPosition settled_;       ///< what is in the ring will lie behind it
};

}  // namespace fastlogd::ingest
