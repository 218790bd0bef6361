// Everything about segment files that may block: preparing the next ones, sealing, retention.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "append/append_counters.hpp"
#include "append/appender.hpp"
#include "append/doorbell.hpp"
#include "append/live_segment.hpp"
#include "append/sealed_segments.hpp"
#include "append/step_aside.hpp"
#include "append/stream_options.hpp"
#include "append/sync_demand.hpp"
#include "base/diagnostics.hpp"
#include "base/file_system.hpp"
#include "base/snapshot.hpp"
#include "segment/control_file.hpp"
#include "segment/recovery.hpp"

namespace fastlogd::append {

/// Owns the files that are not active. So many are unsealed at any time, and no more (unsealed_max()): when sealing can't
/// keep up, preparing stops, the appender runs out and its rings push back. While a burst lasts, nothing is sealed below
/// that number: a seal's fdatasync takes the disk, and no segment can be prepared meanwhile. What the durability mode
/// promises is the sync thread's, for segments that wait for their seal too.
class Housekeeper {
 public:
  struct Partners {
    FileSystem& files;
    const SnapshotBox<StreamOptions>& options;
    segment::ControlWriter& control;
    SegmentSupply& supply;
    LiveSegments& live;
    Doorbell& bell;
    SyncDemand& demand;  ///< asked when a segment turns out to have failed
    AppendCounters& counters;
    const AppenderCpu& appender;
    bool populate_ahead = true;
    /// Says in LOCK where this log's files are, where the start could not: tried again with each new segment.
    std::function<Result<>()> describe = {};
  };
  Housekeeper(Partners partners, const segment::RecoveryReport& recovered, segment::Uuid boot_id);

  /// Makes the first segment ready, on the caller's thread, so that a start can say what is wrong with the directory.
  /// A full or failing disk is no error here: the housekeeper goes on trying, and the counters say why.
  [[nodiscard]] Result<> prepare_first();
  void start(const std::string& stream);
  /// After the appender has ended: seals what is retired, removes what was never used, ends the thread.
  void stop();
  /// One duty cycle; for tests and benchmarks that have no thread.
  void do_work();

 private:
  void run();
  void seal_retired();
  [[nodiscard]] bool seals_now();
  [[nodiscard]] std::size_t unsealed_max();
  void seal(const std::shared_ptr<LiveSegment>& segment);
  [[nodiscard]] Result<> sync_once(LiveSegment& segment);
  [[nodiscard]] bool prepare_ahead();
  [[nodiscard]] Result<segment::PreparedSegment> prepare_next_free();
  [[nodiscard]] Result<> prepare_one();
  void populate(LiveSegment& segment);
  [[nodiscard]] bool make_room(const Error& error, const StreamOptions& options);
  [[nodiscard]] bool may_delete(const StreamOptions& options) const;
  void remove_unused();
  void update_gauges();
  void count_set_aside();
  void look_for_active();
  [[nodiscard]] std::uint64_t unsealed_bytes() const;

  Partners partners_;
  SnapshotReader<StreamOptions> options_;
  std::string directory_;
  SealedSegments sealed_;
  segment::PrepareRequest request_;
  std::shared_ptr<LiveSegment> spare_;  ///< prepared, but the supply had no free slot
  std::int64_t retry_at_ns_ = 0;
  std::int64_t next_retention_ns_ = 0;
  std::int64_t next_count_ns_ = 0;
  std::uint64_t rolls_seen_ = 0;
  std::int64_t burst_until_ns_ = 0;   ///< as far as the rolls seen so far tell
  std::int64_t next_removal_ns_ = 0;  ///< of segments that a full disk may cost; 0: the last one helped
  diag::RateLimit trouble_;
  diag::RateLimit deletion_;
  diag::RateLimit removal_;
  std::optional<StepAside> aside_;  ///< once it has a thread of its own
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fastlogd::append
