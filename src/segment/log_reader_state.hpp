// What a LogReader keeps. Only log_reader.cpp and log_seek.cpp include this.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/near_seek.hpp"
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
  [[nodiscard]] Result<> seek(LogPosition position, Sequence last);
  [[nodiscard]] Result<> seek_sequence(Sequence sequence);
  [[nodiscard]] Result<> seek_time(std::int64_t time_ns);
  [[nodiscard]] bool in_time_order();

  [[nodiscard]] Result<std::vector<std::uint64_t>> readable_segments() const;
  [[nodiscard]] LogPosition position() const;
  [[nodiscard]] LogPosition committed();
  [[nodiscard]] Sequence expected() const { return expected_; }
  [[nodiscard]] const std::optional<ControlReader>& control() const { return control_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const std::optional<SegmentCursor>& cursor() const { return cursor_; }
  void recheck() {
    if (cursor_) cursor_->recheck();
  }

 private:
  enum class Step : std::uint8_t { item, again, caught_up, failed };

  /// The first segment in use from an index on.
  struct Following {
    std::optional<SegmentCursor> cursor;
    bool refused = false;  ///< a file before it is there and is no segment
  };

  [[nodiscard]] Step step(LogItem& item);
  [[nodiscard]] Result<Following> find_following(std::uint64_t from) const;
  [[nodiscard]] Step move_on(LogItem& item, Following following, std::uint64_t from);
  [[nodiscard]] Step open_from(LogItem& item, std::uint64_t from);
  [[nodiscard]] Step at_end_of_segment(LogItem& item, bool complete);
  [[nodiscard]] bool vouched() const { return control_.has_value() || cursor_->trailer().has_value(); }
  [[nodiscard]] Step skip_damage(LogItem& item);
  [[nodiscard]] Step missing_until(std::uint64_t sequence, LogItem& item);
  [[nodiscard]] Step take(const FrameView& frame, LogItem& item);
  [[nodiscard]] Step fail(Error error);
  [[nodiscard]] Step report_gap(LogItem& item, Gap gap);
  void check_control();
  /// How far the open segment may be read now. Sets trouble_ where that can't be found out.
  [[nodiscard]] std::uint64_t limit() const;
  [[nodiscard]] std::uint64_t unknown_end(const Error& error) const;
  [[nodiscard]] Step fail_by_trouble();
  [[nodiscard]] bool left_unfinished() const;
  [[nodiscard]] std::uint64_t trusted_end() const;
  [[nodiscard]] std::uint64_t end_by_next() const;
  void go_to(std::uint64_t index);
  [[nodiscard]] bool open_quietly(std::uint64_t index);
  /// seek(): `last` is lowered to what is left of the segment.
  [[nodiscard]] static Result<> stand_at(SegmentCursor& cursor, std::uint64_t offset, Sequence& last);

  // previous(): what is in front of the frames in behind_, then of their block, then of their segment.
  [[nodiscard]] Step step_back(LogItem& item);
  [[nodiscard]] Step give_back(std::uint64_t at, LogItem& item);
  [[nodiscard]] bool take_back(const FrameView& frame, LogItem& item);
  [[nodiscard]] Step block_before(LogItem& item);
  [[nodiscard]] Step segment_before(LogItem& item);
  [[nodiscard]] Step go_back_to(SegmentCursor cursor, bool refused, LogItem& item);
  [[nodiscard]] Step told_down_to(std::uint64_t number, ingress::LossReason why, LogItem& item);
  [[nodiscard]] std::optional<std::uint64_t> number_behind(std::uint64_t end);

  struct Ends {
    std::uint64_t index = 0;
    std::uint64_t last_sequence = UINT64_MAX;  ///< as long as it is not sealed
    std::int64_t first_time_ns = 0;
    std::int64_t last_time_ns = INT64_MAX;  ///< likewise
    bool sealed = false;
    bool empty = false;  ///< sealed, and no record in it
    std::uint64_t ordered_since = 0;
  };
  [[nodiscard]] std::optional<Ends> ends_of(std::uint64_t index) const;
  [[nodiscard]] std::int64_t newest_time_of(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t find_segment(std::vector<std::uint64_t> indices, bool ordered,
                                           const std::function<bool(const Ends&)>& before) const;
  /// `before_or_at` is asked of what stands in front of records.
  [[nodiscard]] Result<> seek_key(std::uint64_t segment, const BeforeKey& before_or_at,
                                  const BeforeKey& before);

  FileSystem* files_;
  std::string directory_;
  Access access_;
  std::optional<ControlReader> control_;
  std::optional<SegmentCursor> cursor_;
  std::uint64_t index_ = 0;                     ///< segment to be read; cursor_ may not be open yet
  bool placed_ = false;                         ///< index_ is meant; otherwise start at the oldest
  bool gap_due_ = false;                        ///< seek() found its segment gone: say so
  mutable std::optional<LogPosition> trusted_;  ///< trusted_end() of the segment it was last asked of
  mutable std::optional<LogPosition> told_;     ///< end_by_next(), likewise
  mutable std::optional<Error> trouble_;        ///< limit() could not find out
  LogPosition seen_;                   ///< committed position when next() last looked, before any limit()
  Sequence expected_;                  ///< next sequence number; 0: unknown
  std::vector<std::uint64_t> behind_;  ///< previous(): frames still to be given out, newest last
  Sequence told_from_;  ///< previous(): it has told of this number and all behind it; 0: unknown
  Sequence covered_;    ///< previous(): GAP frames since then tell of numbers up to this one
  ingress::LossReason missing_because_ =
      ingress::LossReason::none;  ///< previous(): if numbers before are missing
  Error error_;
};

}  // namespace fastlogd::segment
