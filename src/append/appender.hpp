// Walk 5: the one thread of a stream that takes records out of rings and puts them into the active segment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "append/append_counters.hpp"
#include "append/doorbell.hpp"
#include "append/fail_over.hpp"
#include "append/hand_over.hpp"
#include "append/live_segment.hpp"
#include "append/progress_report.hpp"
#include "append/source_map.hpp"
#include "append/step_aside.hpp"
#include "append/stream_options.hpp"
#include "append/sync_demand.hpp"
#include "base/clock.hpp"
#include "base/snapshot.hpp"
#include "record/client_numbers.hpp"
#include "record/ingress.hpp"
#include "record/progress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/poll_window.hpp"
#include "ring/wake_signal.hpp"
#include "segment/control_file.hpp"
#include "segment/segment_writer.hpp"

namespace fastlogd::append {

/// The consumer end of one ring, as the front end hands it out. Everything outlives the appender.
struct RingEnd {
  ring::ByteRing* ring = nullptr;
  const ingress::RingLoss* loss = nullptr;  ///< counted by the producer's thread
  ring::WakeSignal* space = nullptr;        ///< wakes the producer that waits for space
  RingProgress* progress = nullptr;         ///< written by the appender; null: nobody acknowledges
  ring::WakeSignal* acks =
      nullptr;  ///< to notify() after a watermark has moved: the io thread may wait for it
};

/// Segments on their way: prepared ones to the appender. Retired ones are marked in LiveSegment.
using SegmentSupply = HandOver<LiveSegment, 2>;

/// Where the log stood when this run began; what the first OPEN frame says.
struct LogStart {
  std::uint64_t next_sequence = 1;
  std::uint64_t epoch = 1;
  segment::Uuid previous_uuid{};
  std::uint64_t previous_end_offset = 0;
  segment::TimeOrder order;
  std::vector<segment::Gap> gaps;  ///< to be written behind the first OPEN
  ClientNumbers clients;           ///< likewise, and behind every other
};

/// Stamps, numbers, checksums and publishes. Never opens, allocates, maps or syncs a file, never waits for a client;
/// writes one only with `write: pwrite`.
/// Its thread owns: every attached ring's read end, the sequence numbers, the active segment, committed_pos.
class Appender {
 public:
  struct Partners {
    FileSystem& files;  ///< written through with `write: pwrite` alone
    Persist& persist;
    const SnapshotBox<StreamOptions>& options;
    segment::ControlWriter& control;
    SegmentSupply& supply;
    Doorbell& housekeeper;  ///< rung when a segment was taken or retired
    Doorbell& populator;    ///< rung when writing nears the end of what is populated
    SyncDemand& demand;     ///< told of every batch, and of records that want a sync
    FailOver& fail_over;
    AppendCounters& counters;
    AppenderCpu& cpu;  ///< where it runs, for its helpers to keep off
  };
  Appender(Partners partners, LogStart start, std::unique_ptr<ring::WakeSignal> data);

  /// Before start().
  void attach(const RingEnd& end);
  void start(const std::string& stream);
  /// Drains the rings (whose producers have ended), seals, ends the thread. What does not fit by `deadline_ns`
  /// (monotonic) is counted as dropped.
  void stop(std::int64_t deadline_ns);
  /// Any thread: begin a new segment soon.
  void request_roll() {
    roll_requested_.store(true, std::memory_order_release);
    data_->interrupt();
  }
  /// What producers notify after publishing.
  [[nodiscard]] ring::WakeSignal& data_signal() { return *data_; }

  /// One duty cycle: options, commands, data. Returns the number of entries taken. Public for tests and benchmarks
  /// that bring a thread of their own.
  [[nodiscard]] std::size_t do_work();
  /// Takes the first segment if one is ready; true once there is one.
  [[nodiscard]] bool ensure_segment();
  /// False: the SEAL could not be stored, the segment stays until a fail-over. Without a next one it is left anyway.
  bool seal_active(std::uint64_t next_index);

 private:
  struct Input {
    RingEnd end;
    std::unique_ptr<SourceMap> sources;
    ProgressReport report;
    std::size_t resume_at = 0;  ///< descriptors of the entry at hand that are in the log already
    std::array<std::uint64_t, ingress::kLossReasons> reported{};
    std::int64_t next_gap_ns = 0;
  };

  void run();
  void idle();
  void park(bool stuck);
  [[nodiscard]] bool any_data();
  [[nodiscard]] std::size_t drain(Input& input);
  [[nodiscard]] bool clock_was_set_back(const ingress::EntryView& entry) const;
  [[nodiscard]] bool store_block(Input& input, const ingress::EntryView& entry);
  [[nodiscard]] bool store_record(Input& input, const ingress::EntryView& entry,
                                  const ingress::Descriptor& message);
  [[nodiscard]] bool state_numbers(const ingress::EntryView& entry, std::size_t at);
  void stored_numbers(const ingress::EntryView& entry, std::size_t begin, std::size_t end);
  void pass_over_repeated(Input& input, const ingress::EntryView& entry);
  void repeat_clients(bool at_the_end);
  void tally(std::span<const ingress::Descriptor> messages);
  [[nodiscard]] bool wants_sync(const ingress::Descriptor& message) const;
  [[nodiscard]] bool roll(segment::OpenReason reason);
  void roll_as_requested();
  void fail_over();
  void leave_lost();
  [[nodiscard]] bool is_given_up();
  [[nodiscard]] bool settle();
  void give_up_active();
  void begin(LiveSegment& next, segment::OpenReason reason);
  void publish();
  void report_progress(Input& input);
  void report_losses(std::int64_t now_ns);
  void report_dropped();
  void report_rest();
  void report_loss(Input& input, std::size_t reason, std::uint64_t count);
  [[nodiscard]] bool tell(const segment::Gap& gap);
  [[nodiscard]] static std::uint64_t untold(const Input& input, std::size_t reason);
  [[nodiscard]] bool drops_now();
  [[nodiscard]] bool has_next() const;
  [[nodiscard]] std::size_t drop_all(Input& input, DropReason reason);
  [[nodiscard]] std::size_t drop_if_so_told();
  void drop_rest(Input& input, const ingress::EntryView& entry, DropReason reason);

  Partners partners_;
  std::unique_ptr<ring::WakeSignal> data_;
  SnapshotReader<StreamOptions> options_;
  std::vector<Input> inputs_;
  std::uint64_t next_sequence_;
  LogStart start_;
  ClientNumbers clients_;  ///< how far those have got that number their records
  Numbering run_;          ///< what the active segment says of the next record
  segment::SegmentWriter writer_;
  LiveSegment* active_ = nullptr;
  LiveSegment* next_ = nullptr;  ///< taken from the supply by a roll that failed
  std::int64_t next_loss_check_ns_ = 0;
  ring::PollWindow window_;  ///< for the rings' data
  bool starved_ = false;     ///< the last attempt to roll found no prepared segment
  bool lost_ = false;        ///< the active segment takes no more stores, not even a SEAL
  bool sync_all_ = false;    ///< the options at the top of this cycle: every record wants a sync
  std::int8_t sync_severity_ = Durability::kNoSeverity;
  std::uint64_t taken_back_ = 0;  ///< records of the entry at hand that a failed store took back
  std::uint64_t wanting_ = 0;     ///< records stored since the last publish() that want a sync
  std::uint64_t unknown_below_ =
      0;  ///< records numbered below have been named by a GAP of unknown durability
  std::array<std::uint64_t, ingress::kLossReasons> dropped_{};  ///< behind the ring, not yet told by a GAP
  std::uint64_t told_dropped_ = 0;                              ///< in the active segment
  std::uint64_t untold_ = 0;                                    ///< in front of all rings, at the last look

  std::atomic<bool> roll_requested_{false};
  std::atomic<std::int64_t> stop_deadline_ns_{0};  ///< 0: run
  std::thread thread_;
};

}  // namespace fastlogd::append
