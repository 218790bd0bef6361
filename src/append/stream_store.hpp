// One stream's store: directory, control file, appender and its helpers, started and stopped in the right order.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "append/append_counters.hpp"
#include "append/appender.hpp"
#include "append/stream_options.hpp"
#include "base/clock.hpp"
#include "base/file_system.hpp"
#include "base/persist.hpp"
#include "base/result.hpp"
#include "record/progress.hpp"
#include "segment/recovery.hpp"

namespace fastlogd::append {

/// What a store reports of itself; for status and metrics.
struct StoreStatus {
  LogPosition committed;
  LogPosition durable;
  LogPosition oldest;
  std::string_view write =
      "none";             ///< mapping, pwrite or dax: how the active segment is written; none: there is none
  bool map_sync = false;  ///< the kernel shows MAP_SYNC on the active segment's mapping
  bool huge_pages = false;                           ///< in force in the active segment, not merely asked for
  bool populated_ahead = false;                      ///< a helper takes the page faults
  DurabilityMode durability = DurabilityMode::none;  ///< in force, not merely asked for
  std::string control_path;
  bool control_moved = false;  ///< the runtime directory is no tmpfs: the control file is in /dev/shm
};

/// Life: open (recovers), attach a ring per io thread, start, ... apply ..., stop. All from the main thread.
class StreamStore {
 public:
  struct Environment {
    FileSystem& files;
    std::string runtime_directory;
    /// Called by the sync thread, once, when durability.on_failure is stop and a sync has failed. May be empty.
    std::function<void()> gave_up = {};
    Persist& persist = processor_persist();  ///< what makes stores durable with dax; a test brings a model
    bool own_thread =
        true;  ///< false: the caller is the appender's thread and calls do_work(), as benchmarks do
    bool populate_ahead = true;  ///< false: the appender takes its page faults itself, to see what that costs
  };
  /// Creates the directory if it is missing, locks it, recovers, makes the control file and the first segment ready.
  [[nodiscard]] static Result<std::unique_ptr<StreamStore>> open(std::shared_ptr<const StreamOptions> options,
                                                                 const Environment& environment);
  ~StreamStore();
  StreamStore(const StreamStore&) = delete;
  StreamStore& operator=(const StreamStore&) = delete;

  void attach(const RingEnd& end);
  void start();
  /// A reload's live-changeable part.
  void apply(std::shared_ptr<const StreamOptions> options);
  /// After the producers have ended: drains the rings, syncs, seals, ends the threads. What a sick disk does not take
  /// by the deadline is counted as dropped.
  void stop(std::chrono::nanoseconds bound);

  /// One duty cycle of the appender, for who opened the store with own_thread = false. Returns the entries taken.
  std::size_t do_work();
  // Any thread.
  [[nodiscard]] LogPosition committed() const;
  [[nodiscard]] LogPosition durable() const;

  /// What producers notify after publishing. Lives as long as the store.
  [[nodiscard]] ring::WakeSignal& data_signal();
  /// How far the log is on disk, for who acknowledges. Lives as long as the store.
  [[nodiscard]] const StreamProgress& progress() const;
  /// Any thread but the store's own: waits until everything committed at the call is durable. A sync that has failed
  /// since the last call is told once.
  [[nodiscard]] Result<> sync(std::chrono::nanoseconds timeout);
  /// Any thread: the appender goes on in a new segment soon.
  void rotate();

  [[nodiscard]] const AppendCounters& counters() const;
  [[nodiscard]] const segment::RecoveryReport& recovery() const;
  [[nodiscard]] std::shared_ptr<const StreamOptions> options() const;
  [[nodiscard]] StoreStatus status() const;
  /// Grows with every cycle of the appender, idle ones included; for the watchdog.
  [[nodiscard]] std::uint64_t duty_cycles() const;

 private:
  class Parts;
  explicit StreamStore(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace fastlogd::append
