// What a LogReader keeps. Only log_reader.cpp and log_seek.cpp include this.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {

class LogReader::State {
 public:
  State(FileSystem& files, std::string directory, Access access)
      : files_(&files),
        directory_(std::move(directory)),
        access_(access),
        control_(ControlReader::open(directory_)) {}

  // log_reader.cpp: going forward
  [[nodiscard]] ReadStatus next(LogItem& item);
  void wait(std::chrono::nanoseconds timeout);

  // log_seek.cpp: everything that jumps
  [[nodiscard]] ReadStatus previous(LogItem& item);
  void seek_oldest();
  void seek_end();
  [[nodiscard]] Result<> seek(LogPosition position);
  [[nodiscard]] Result<> seek_sequence(Sequence sequence);
  [[nodiscard]] Result<> seek_time(std::int64_t time_ns);

  [[nodiscard]] Result<std::vector<std::uint64_t>> readable_segments() const;
  [[nodiscard]] LogPosition position() const;
  [[nodiscard]] LogPosition committed();
  [[nodiscard]] const std::optional<ControlReader>& control() const { return control_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  enum class Step : std::uint8_t { item, again, caught_up, failed };

  [[nodiscard]] Step open_current(LogItem& item);
  [[nodiscard]] Step open_following(LogItem& item, std::uint64_t after);
  [[nodiscard]] Step at_end_of_segment(LogItem& item);
  [[nodiscard]] Step skip_damage(LogItem& item);
  [[nodiscard]] Step take(const FrameView& frame, LogItem& item);
  [[nodiscard]] Step fail(Error error);
  [[nodiscard]] Step report_gap(LogItem& item, Gap gap);
  void check_control();
  /// How far the open segment may be read now.
  [[nodiscard]] std::uint64_t limit() const;
  void go_to(std::uint64_t index);
  [[nodiscard]] bool open_quietly(std::uint64_t index);
  template <class Before>
  [[nodiscard]] Result<> seek_key(Before before, bool (*reached)(const FrameHeader&, std::int64_t),
                                  std::int64_t key);

  FileSystem* files_;
  std::string directory_;
  Access access_;
  std::optional<ControlReader> control_;
  std::optional<SegmentCursor> cursor_;
  std::uint64_t index_ = 0;            ///< segment to be read; cursor_ may not be open yet
  bool placed_ = false;                ///< index_ is meant; otherwise start at the oldest
  Sequence expected_;                  ///< next sequence number; 0: unknown
  std::vector<std::uint64_t> behind_;  ///< previous(): frames still to be given out, newest last
  Error error_;
};

}  // namespace fastlogd::segment
