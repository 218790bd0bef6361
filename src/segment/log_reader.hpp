// Reads one stream's log in order: across segments, behind a running daemon or from a directory nobody
// writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "record/log_position.hpp"
#include "record/record_view.hpp"
#include "segment/gap.hpp"

namespace fastlogd::segment {

/// How segments are read. Mapped is faster and for programs outside the daemon. Pread turns a bad sector or a
/// foreign truncate into an error instead of SIGBUS: the daemon's own followers and verify use it.
enum class Access : std::uint8_t { mapped, pread };

struct SegmentHold;  // opaque: only its lifetime matters

/// One thing read. Views live until the reader's next call, or as long as LogReader::hold() is held.
struct LogItem {
  enum class Kind : std::uint8_t { record, gap };
  Kind kind = Kind::record;
  RecordView record;                 ///< kind record
  Gap gap;                           ///< kind gap
  std::span<const std::byte> frame;  ///< as stored, header to end of payload; empty for a reader's own gap
  LogPosition position;              ///< of this item's frame; for a reader's own gap, where reading goes on
  LogPosition next;                  ///< where reading goes on behind it: what a cursor stores
};

enum class ReadStatus : std::uint8_t {
  item,       ///< something was read
  caught_up,  ///< nothing more is published now; with a live daemon more may come
  failed,     ///< error() says why; the reader stays where it is
};

/// Never sees a torn frame: a live log is read only below its committed position, a dead one by checksum up
/// to the first invalid frame. When retention overtakes the reader, it reports a numbered gap (reason
/// retention) and goes on at the oldest record there is. Not thread-safe; one per thread.
class LogReader {
 public:
  /// `directory` is a stream's directory. Fails if it does not exist or holds no log (and no daemon has one
  /// open).
  [[nodiscard]] static Result<LogReader> open(const std::string& directory, Access access,
                                              FileSystem& files = posix_file_system());
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;
  ~LogReader();

  /// The next item in order. A new reader starts at the oldest record.
  [[nodiscard]] ReadStatus next(LogItem& item);
  /// The item before the current place, walking backwards; caught_up at the oldest end. Tells what is missing as next()
  /// does, in front of the record behind which it is missing.
  [[nodiscard]] ReadStatus previous(LogItem& item);

  void seek_oldest();
  /// Behind the newest published record.
  void seek_end();
  /// A position from LogItem::next (or LogItem::position). One that retention has removed yields a gap on
  /// next(). `last` is the last number before it, a record's or a numbered gap's: with it next() tells what is missing
  /// from there on, without it (0) only what is missing behind the next record. A place that a power loss took from the
  /// log with all that lay behind it is where the log ended when it was brought in order.
  [[nodiscard]] Result<> seek(LogPosition position, Sequence last = {});
  /// The first record with this sequence number or a higher one.
  [[nodiscard]] Result<> seek_sequence(Sequence sequence);
  /// The first record received at or after `time_ns`.
  [[nodiscard]] Result<> seek_time(std::int64_t time_ns);

  /// True if receive times never go back from the oldest segment to the newest: what lies behind a record is then not
  /// older. Costs a few reads. (A clock that is set back by more than 10 s begins a new segment.)
  [[nodiscard]] bool in_time_order();

  /// What the views of the last item point at, if the log is read through mappings: they stay valid as long as a copy
  /// of this lives, whatever the reader does and whatever becomes of the file's name. Empty before the first item.
  [[nodiscard]] const std::shared_ptr<SegmentHold>& hold() const;
  /// The next call asks again whether the segment's file is as long as it was, before it touches mapped bytes.
  void recheck();

  /// Waits until something new may be readable or the time is over. Returns at once without a live daemon...
  /// after sleeping at most `timeout`. Call it after next() said caught_up; it is what notices that a daemon has come
  /// or gone, so call it with zero now and then if you never wait.
  void wait(std::chrono::nanoseconds timeout);

  [[nodiscard]] LogPosition position() const;
  [[nodiscard]] Sequence expected() const;      ///< the number that comes next; 0: unknown
  [[nodiscard]] LogPosition committed() const;  ///< end of what is published
  [[nodiscard]] LogPosition durable() const;  ///< end of what is known to be on disk; 0 without a live daemon
  [[nodiscard]] bool live() const;            ///< a daemon holds the log open
  [[nodiscard]] const Error& error() const;

 private:
  class State;
  explicit LogReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fastlogd::segment
