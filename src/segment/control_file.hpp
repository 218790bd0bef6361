// The watermarks of a running log, shared with readers in other processes.
//
// Two small files on tmpfs (on a disk file system write-back would write-protect the page under the
// appender):
//
//   STREAM.control   made by the daemon, read-only for everybody else: who writes, and how far
//   STREAM.wait      readers may write it: one futex word, "somebody sleeps"
//
// DIR/LOCK in the stream's directory is locked by the daemon (an open-file-description lock) and names both.
// The control file means something only while that lock is held and it is of this boot (on tmpfs, or by its
// boot id); readers test
// the lock with F_OFD_GETLK and never take it.
//
//   word            written by            release meets acquire in
//   committed_pos   appender              every reader: frames below it are whole
//   durable_pos     sync thread           status, acknowledgements
//   oldest_pos      housekeeper           readers that were overtaken by retention
//   state           main thread           readers: stopped means re-open
//
// Waking: a reader writes 1 into the wait word (pwrite, then a seq_cst fence), loads committed_pos (seq_cst) and sleeps on the
// word if nothing is new; the appender stores committed_pos (seq_cst), loads the wait word (seq_cst), and if
// it is 1 exchanges it to 0 and wakes all. With all four in one total order, either the reader sees the new
// position or the appender sees the 1. A reader that lies in the wait word costs one wake-up a batch, and can
// do nothing else: one that cuts the file takes it from all, who then look again after a while. Nobody stores
// through a mapping of it but the daemon, which is guarded (base/store_guard.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/counter.hpp"
#include "base/file_system.hpp"
#include "base/mapping.hpp"
#include "base/result.hpp"
#include "base/store_guard.hpp"
#include "base/unique_fd.hpp"
#include "record/log_position.hpp"
#include "segment/format.hpp"

namespace fastlogd::segment {

enum class LogState : std::uint32_t { starting = 1, running = 2, stopped = 3 };

/// Whose log it is; what a control file says of it never changes.
struct ControlIdentity {
  Uuid log_uuid{};
  Uuid boot_id{};
  std::uint64_t epoch = 0;
  std::uint64_t segment_bytes = 0;
};

/// The control file as it lies in memory. One page.
struct ControlPage {
  std::array<char, 8> magic;  ///< "FLOGCTL1"
  std::uint32_t version;      ///< 1
  std::uint32_t pid;          ///< of the daemon, for people
  ControlIdentity identity;
  alignas(kCacheLinePair) std::atomic<LogState> state;
  alignas(kCacheLinePair) std::atomic<std::uint64_t> committed_pos;
  alignas(kCacheLinePair) std::atomic<std::uint64_t> durable_pos;
  alignas(kCacheLinePair) std::atomic<std::uint64_t> oldest_pos;
};
static_assert(sizeof(ControlPage) <= limits::kPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// What DIR/LOCK says, read without touching it.
struct LockFacts {
  bool held = false;  ///< a daemon has the log open
  std::string pid;    ///< its process, as it wrote it; empty: not known
  std::optional<Uuid> log_uuid;
};
[[nodiscard]] LockFacts look_at_lock(const std::string& directory);

/// The daemon's lock on a stream's directory. Held as long as the object lives.
class DirectoryLock {
 public:
  /// Creates DIR/LOCK if needed and locks it; an error names the holder's pid if another process has it.
  [[nodiscard]] static Result<DirectoryLock> acquire(FileSystem& files, const std::string& directory);

  /// The log's uuid as an earlier run wrote it; nothing in a new directory.
  [[nodiscard]] const std::optional<Uuid>& log_uuid() const { return log_uuid_; }
  /// Writes what readers look up: paths of control and wait file, log uuid. Removes the files that an earlier run of
  /// this log left behind at other paths.
  [[nodiscard]] Result<> describe(FileSystem& files, const std::string& control, const std::string& wait,
                                  const Uuid& log_uuid);

 private:
  std::string path_;
  UniqueFd fd_;
  std::optional<Uuid> log_uuid_;
};

/// The daemon's side.
class ControlWriter {
 public:
  /// Makes both files afresh in `directory` if that is on tmpfs, else in /dev/shm (then moved() says so).
  [[nodiscard]] static Result<ControlWriter> create(const std::string& directory, const std::string& stream,
                                                    const ControlIdentity& identity);
  ControlWriter(ControlWriter&&) = default;
  ControlWriter& operator=(ControlWriter&&) = default;

  // One writing thread each; see the table above.
  void set_committed(LogPosition position);  ///< also wakes sleeping readers
  void set_durable(LogPosition position);
  void set_oldest(LogPosition position);
  void set_state(LogState state);

  [[nodiscard]] LogPosition committed() const;
  [[nodiscard]] LogPosition durable() const;
  [[nodiscard]] LogPosition oldest() const;

  [[nodiscard]] const std::string& control_path() const { return control_path_; }
  [[nodiscard]] const std::string& wait_path() const { return wait_path_; }
  [[nodiscard]] bool moved() const { return moved_; }
  /// Removes both files; readers that have them mapped see the state instead.
  void unlink_files();

 private:
  ControlWriter() = default;
  [[nodiscard]] ControlPage& page() const { return *reinterpret_cast<ControlPage*>(control_.data()); }
  [[nodiscard]] std::atomic<std::uint32_t>& wait_word() const {
    return *reinterpret_cast<std::atomic<std::uint32_t>*>(wait_.data());
  }
  void wake_readers();

  Mapping control_;
  Mapping wait_;
  StoreGuard wait_guard_;  ///< others may cut that file
  std::string control_path_;
  std::string wait_path_;
  bool moved_ = false;
};

/// A reader's side.
class ControlReader {
 public:
  /// Nothing if no daemon holds the directory's lock, or what it left is not of this boot.
  [[nodiscard]] static std::optional<ControlReader> open(const std::string& directory);

  [[nodiscard]] LogPosition committed() const;
  [[nodiscard]] LogPosition durable() const;
  [[nodiscard]] LogPosition oldest() const;
  [[nodiscard]] std::uint64_t epoch() const { return page().identity.epoch; }
  [[nodiscard]] const Uuid& log_uuid() const { return page().identity.log_uuid; }
  [[nodiscard]] std::uint32_t pid() const { return page().pid; }
  /// False once the daemon has stopped, died or been replaced: open again.
  [[nodiscard]] bool current() const;
  /// Sleeps until committed() is no longer `seen`, the daemon stops, or the time is over.
  void wait(LogPosition seen, std::chrono::nanoseconds timeout) const;

 private:
  ControlReader() = default;
  [[nodiscard]] const ControlPage& page() const {
    return *reinterpret_cast<const ControlPage*>(control_.data());
  }

  std::string directory_;
  UniqueFd lock_;
  UniqueFd control_fd_;
  Mapping control_;
  UniqueFd wait_fd_;
  Mapping wait_;  ///< empty if this process may not write it: then wait() polls
};

}  // namespace fastlogd::segment
