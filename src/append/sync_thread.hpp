// Makes what is committed durable, and says so.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "append/append_counters.hpp"
#include "append/fail_over.hpp"
#include "append/live_segment.hpp"
#include "append/stream_options.hpp"
#include "append/sync_demand.hpp"
#include "base/file_system.hpp"
#include "base/result.hpp"
#include "base/snapshot.hpp"
#include "record/progress.hpp"
#include "segment/control_file.hpp"

namespace fastlogd::append {

/// Owns durable_pos. One fdatasync is in flight at a time; all who want one meanwhile share the next. Each round takes
/// the committed position first and calls fdatasync then: what became committed meanwhile waits for the next round.
///
/// A failed fdatasync is final for its segment: the kernel may have dropped the pages and would report success next
/// time. What lies behind the durable position is refused then (StreamProgress), and either the daemon is asked to end,
/// or the appender goes on in a new segment; see FailOver. The durable position moves on only when the segment that
/// says so, and everything behind it, has been synced.
class SyncThread {
 public:
  struct Partners {
    FileSystem& files;
    const SnapshotBox<StreamOptions>& options;
    LiveSegments& live;
    segment::ControlWriter& control;
    SyncDemand& demand;
    FailOver& fail_over;
    StreamProgress& progress;
    ring::WakeSignal& appender;  ///< interrupted when it is to fail over
    std::function<void()>
        gave_up;  ///< called once by this thread when on_failure is stop and a sync has failed
    AppendCounters& counters;
  };
  /// `next_sequence`: of the first record of this run.
  SyncThread(Partners partners, std::uint64_t next_sequence);

  /// Before start(): whom to notify when the durable position moves, or never will.
  void acknowledge_to(ring::WakeSignal& acks);
  void start(const std::string& stream);
  /// One last round, then ends the thread.
  void stop();
  /// Any thread but its own: waits until everything committed at the call is durable. Says so when a sync has failed
  /// since the last call, once, though the log may be durable again: as fsync(2) does.
  [[nodiscard]] Result<> sync(std::chrono::nanoseconds timeout);

 private:
  enum class State : std::uint8_t {
    sound,
    failed,     ///< a segment has failed; the appender is asked for another one when the pause is over
    requested,  ///< the appender has been asked
    given_up,   ///< on_failure: stop
  };
  /// What a round covers, read before its first fdatasync; see SyncDemand for the order.
  struct Round {
    std::uint64_t asked = 0;
    std::uint64_t wanted = 0;
    std::uint64_t next_sequence = 0;
    LogPosition target;
  };

  void run();
  [[nodiscard]] bool due(const Durability& durability) const;
  void wait(const Durability& durability);
  void gather(const Durability& durability) const;
  void round(const Durability& durability);
  [[nodiscard]] bool sync_segments(LogPosition target);
  [[nodiscard]] bool sync_segment(std::uint64_t index);
  [[nodiscard]] bool call_sync(LiveSegment& segment);
  void advance(const Round& round);
  void fail(const Durability& durability);
  void add_unknown(LogPosition to);
  void request_fail_over();
  void take_up_again();
  void settle(const Round& round);

  Partners partners_;
  SnapshotReader<StreamOptions> options_;
  std::vector<ring::WakeSignal*> acks_;

  State state_ = State::sound;
  std::uint64_t answered_ = 0;  ///< of SyncDemand::asked()
  std::uint64_t covered_ = 0;   ///< of SyncDemand::wanted()
  std::uint64_t group_ = 0;  ///< records that wanted it and were covered by the last round, or came during it
  std::uint64_t durable_next_;   ///< every record numbered below is durable
  std::uint64_t resume_at_ = 0;  ///< segments before it are settled, one way or the other
  LogPosition unknown_to_;       ///< end of what has been refused
  std::int64_t last_round_ns_ = 0;
  std::int64_t last_sync_ns_ = 0;  ///< how long the last fdatasync took
  std::int64_t pause_ns_ = 0;      ///< before the next fail-over; grows while nothing succeeds
  std::int64_t request_at_ns_ = 0;

  std::atomic<bool> stop_{false};
  std::mutex mutex_;  ///< for changed_ and what follows
  std::condition_variable changed_;
  bool ended_ = false;
  std::uint64_t failures_ = 0;
  std::uint64_t told_failures_ = 0;  ///< what a caller of sync() has been told of
  std::uint64_t told_next_ = 0;      ///< of records numbered below, at least
  std::thread thread_;
};

}  // namespace fastlogd::append
