// The thread that keeps a stream's text file: fl-text-STREAM.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "base/snapshot.hpp"
#include "follow/text_file_counters.hpp"
#include "follow/text_file_options.hpp"
#include "follow/text_writer.hpp"

namespace fastlogd::follow {

/// What the follower needs to know of its stream; fixed for its life.
struct FollowedStream {
  std::string name;
  std::string directory;            ///< the stream's; the cursor is kept there too, see kCursorName
  std::uint64_t segment_bytes = 0;  ///< for the lag
};

/// The cursor's name in the stream's directory.
inline constexpr const char* kCursorName = "text.cursor";

/// Opens the file the options name, or makes it: what a reload does before it commits. From then on it is there: a
/// `tail -F` that begins without its file only polls, and loses rotations. True: it was made.
[[nodiscard]] Result<bool> make_text_file(const TextFileOptions& options,
                                          FileSystem& files = posix_file_system());

/// Reads only what is published and never slows the appender: a text file that can't be written just lags
/// behind, until retention overtakes it. All methods but rotate(): the main thread.
class TextFollower {
 public:
  /// References outlive the follower. New options take effect with the next batch; the file goes on under a
  /// new path with the next record.
  TextFollower(FollowedStream stream, const SnapshotBox<TextFileOptions>& options, TextFileCounters& counters,
               FileSystem& files = posix_file_system());
  TextFollower(const TextFollower&) = delete;
  TextFollower& operator=(const TextFollower&) = delete;
  /// Stops without draining if stop() was not called; the next start goes on.
  ~TextFollower();

  /// Makes the thread, which touches nothing before go(): a reload that fails after all must leave no trace. Throws
  /// std::system_error if there can be no more threads.
  void start_held();
  /// The stream's log should be open by now; if it isn't the thread tries until it is.
  void go();
  /// Both.
  void start() {
    start_held();
    go();
  }
  /// Asks for a rotation now, whatever the size. Any thread.
  void rotate() { rotation_requested_.store(true, std::memory_order_relaxed); }
  /// Writes what is published now, as far as `deadline` allows, and joins. True if nothing was left.
  [[nodiscard]] bool stop(std::chrono::steady_clock::time_point deadline);

 private:
  void run();
  [[nodiscard]] std::unique_ptr<LineSource> open_source();
  void follow(LineSource& source);
  void pause(std::chrono::nanoseconds time) const;
  [[nodiscard]] bool give_up() const;

  FollowedStream stream_;
  const SnapshotBox<TextFileOptions>* options_;
  TextFileCounters* counters_;
  FileSystem* files_;

  std::atomic<bool> held_{true};
  std::atomic<bool> rotation_requested_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> deadline_ns_{
      INT64_MAX};         // steady clock; stored before stopping_ (release, acquire)
  bool drained_ = false;  // the thread's, read after join
  std::thread thread_;
};

}  // namespace fastlogd::follow
