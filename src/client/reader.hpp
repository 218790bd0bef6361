// The reader behind include/fastlog/fastlog_reader.h: a LogReader, the segments that its caller's views point at, and
// the pins. Knows no thread and installs no signal handler.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "fastlog/fastlog_reader.h"
#include "segment/log_reader.hpp"

namespace fastlogd::client {

/// Used by one thread at a time. What it fills in points into `held_`, `pins_` and `copies_`.
class Reader {
 public:
  /// `options` has been checked by check().
  [[nodiscard]] static Result<Reader> open(const std::string& directory,
                                           const fastlog_reader_options& options);

  /// As fastlog_reader_poll. A negative timeout has no limit.
  [[nodiscard]] Result<std::size_t> poll(fastlog_record* out, std::size_t max,
                                         std::chrono::milliseconds timeout);

  /// False: nothing was read from that segment in the last poll, and it is not pinned.
  [[nodiscard]] bool pin(std::uint64_t segment);
  /// False: not pinned.
  [[nodiscard]] bool unpin(std::uint64_t segment);

  [[nodiscard]] bool copies() const { return access_ == segment::Access::pread; }
  [[nodiscard]] LogPosition position() const { return position_; }
  [[nodiscard]] fastlog_reader_state state() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Hold = std::shared_ptr<segment::SegmentHold>;

  struct Held {
    std::uint64_t segment = 0;
    Hold hold;
  };
  struct Pin {
    std::uint64_t segment = 0;
    std::uint64_t count = 0;
    std::vector<Hold> holds;
  };

  Reader(segment::LogReader log, segment::Access access) : log_(std::move(log)), access_(access) {}
  [[nodiscard]] Result<> start_at(const fastlog_reader_options& options);
  [[nodiscard]] Result<std::size_t> take(fastlog_record* out, std::size_t max);
  void fill(const segment::LogItem& item, fastlog_record& record);
  [[nodiscard]] const std::byte* keep(std::span<const std::byte> frame);
  void hold(std::uint64_t segment);
  [[nodiscard]] bool wait(std::optional<Clock::time_point> deadline);
  [[nodiscard]] Pin* find_pin(std::uint64_t segment);

  segment::LogReader log_;
  segment::Access access_;
  LogPosition position_;  ///< where the next poll goes on; 0: the oldest
  std::vector<Held> held_;
  std::vector<Pin> pins_;
  std::vector<std::byte> copies_;  ///< frames of the last poll, with pread
  std::size_t copied_ = 0;
  Clock::time_point looked_;  ///< when a caller that never waits last made us look for a daemon
};

}  // namespace fastlogd::client
