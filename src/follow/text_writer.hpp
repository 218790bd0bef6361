// Puts a stream's lines into its text file, each exactly once over crashes of the process.
//
// A step renders a batch, writes it, and stores the cursor. The cursor says "the file with this inode, this
// long, holds everything before this position"; so after a crash whatever the file holds beyond that length
// was rendered from that position. The next start renders from there again and skips what it finds in the
// file, byte for byte, a torn last line included: that one is completed.
//
//   log      ... | batch n | batch n+1 ...          position ──┐
//   file     ................|-- batch n+1, torn               │ stored in the cursor
//                            └── length ───────────────────────┘
//
// Before the first byte goes into another file (rotation, a new path, somebody renamed it) the cursor names
// that file. Rotation is: finish writing, rename, create, store the cursor. Between any two of them the
// cursor's inode is found under path or path.1, and whatever is missing is done by the next step.
//
// As long as a file is open it is locked: of two daemons that were given one path, the second waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/file_system.hpp"
#include "follow/line_source.hpp"
#include "follow/text_cursor.hpp"
#include "follow/text_file.hpp"
#include "follow/text_file_counters.hpp"
#include "follow/text_file_options.hpp"

namespace fastlogd::follow {

/// `tail -F` follows a file that is renamed away at most this often.
inline constexpr std::int64_t kRotationIntervalNs = kNanosPerSecond / 2;

/// One thread. Errors of the text file are reported (rate-limited), counted and tried again by the next step;
/// nothing is lost by them as long as the log keeps its records.
class TextWriter {
 public:
  /// All references outlive the writer. `clock` is monotonic.
  TextWriter(std::string stream, std::string cursor_path, LineSource& source, TextFileCounters& counters,
             FileSystem& files = posix_file_system(), WallClock clock = &monotonic_ns);

  enum class Step : std::uint8_t {
    worked,
    idle,   ///< everything published is in the file
    stuck,  ///< an error has been reported; pause before the next step
  };
  /// At most one batch. `options` may be new ones each time.
  [[nodiscard]] Step step(const TextFileOptions& options);

  /// Rotates before the next line, whatever the size; an empty file stays.
  void request_rotation() { rotation_requested_ = true; }

  /// Bytes the text file lags behind the log, for the gauge.
  [[nodiscard]] std::uint64_t lag_bytes() const { return source_->lag_bytes(); }

 private:
  // Finding the place (text_recovery.cpp). False: an error has been reported, the next step tries again from the start.
  [[nodiscard]] bool recover(const TextFileOptions& options);
  [[nodiscard]] bool open_cursor();
  [[nodiscard]] bool begin_with_the_oldest(const TextFileOptions& options);
  [[nodiscard]] Result<std::optional<TextFile>> find_file(const TextCursor& cursor,
                                                          const TextFileOptions& options) const;
  [[nodiscard]] bool find_place(const TextCursor& cursor);
  [[nodiscard]] bool skip_what_is_there(const TextCursor& cursor);
  [[nodiscard]] Result<bool> step_over_equal_bytes();
  void continue_behind_foreign_text();
  void continue_on_a_line_of_its_own();

  // Moving on.
  void start_batch();
  [[nodiscard]] FillStatus fill_batch(std::size_t bytes_target);
  void finish_batch();
  [[nodiscard]] bool choose_file(const TextFileOptions& options);
  [[nodiscard]] bool open_file(const std::string& path);
  void rotate_if_due(const TextFileOptions& options);
  [[nodiscard]] bool write_batch(bool whole);
  [[nodiscard]] bool save_cursor();

  [[nodiscard]] bool at_line_start() const { return done_ == 0 || batch_[done_ - 1] == '\n'; }
  [[nodiscard]] std::size_t line_start(std::size_t at) const;
  void report(diag::RateLimit& limit, const char* what, const Error& error);

  std::string stream_;
  std::string cursor_path_;
  LineSource* source_;
  TextFileCounters* counters_;
  FileSystem* files_;
  WallClock clock_;

  std::optional<CursorFile> cursor_file_;
  std::optional<TextFile> file_;
  std::uint64_t expected_length_ =
      0;                       // the file's, as far as it is known to hold the log; others may change it
  bool cursor_holds_ = false;  // the stored cursor names this file; without that nothing may be written

  TextBuffer batch_;
  std::size_t done_ = 0;     // bytes of the batch that are in a file
  Fill fill_;                // what the batch is made of
  LogPosition batch_start_;  // where the batch was rendered from
  Sequence before_batch_;

  bool rotation_requested_ = false;
  std::int64_t last_rotation_ns_;
  std::int64_t no_rotation_before_ns_ = 0;  // after a failed one

  diag::RateLimit cursor_errors_, open_errors_, write_errors_, rotation_errors_, read_errors_;
};

}  // namespace fastlogd::follow
