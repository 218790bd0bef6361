// Makes what is committed durable, and says so.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "append/append_counters.hpp"
#include "append/live_segment.hpp"
#include "append/stream_options.hpp"
#include "base/file_system.hpp"
#include "base/result.hpp"
#include "base/snapshot.hpp"
#include "segment/control_file.hpp"

namespace fastlogd::append {

/// Owns durable_pos. Each round takes the committed position first and calls fdatasync then: what became committed
/// meanwhile waits for the next round. A failed fdatasync is final: durable_pos never passes that segment in this run,
/// because the kernel may have dropped the pages and would report success next time.
class SyncThread {
 public:
  SyncThread(FileSystem& files, const SnapshotBox<StreamOptions>& options, LiveSegments& live,
             segment::ControlWriter& control, AppendCounters& counters)
      : files_(files), options_(options), live_(live), control_(control), counters_(counters) {}

  void start(const std::string& stream);
  /// One last round, then ends the thread.
  void stop();
  /// Any thread but its own: waits until everything committed at the call is durable.
  [[nodiscard]] Result<> sync(std::chrono::nanoseconds timeout);
  /// The options have changed: look at the interval again.
  void wake();

 private:
  void run();
  void round();
  [[nodiscard]] bool sync_segment(std::uint64_t index);

  FileSystem& files_;
  const SnapshotBox<StreamOptions>& options_;
  LiveSegments& live_;
  segment::ControlWriter& control_;
  AppendCounters& counters_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t requested_ = 0;  ///< rounds asked for
  std::uint64_t finished_ = 0;   ///< the newest request that a round has covered
  bool options_changed_ = false;
  bool stop_ = false;
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace fastlogd::append
