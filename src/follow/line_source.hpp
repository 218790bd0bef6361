// Where the lines of a text file come from: a stream's log, rendered. An interface, so that the writer's
// promises can be tested against a source that is under the test's control.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "record/log_position.hpp"
#include "record/record_view.hpp"

namespace fastlogd::follow {

/// Bytes that become one write(2); grows to the largest batch once and is then reused.
using TextBuffer = std::string;

enum class FillStatus : std::uint8_t {
  more,       ///< the batch is as large as was asked for; more may be readable
  caught_up,  ///< everything published is in the batch (which may be empty)
  failed,     ///< what was rendered before the failure is in the batch; error() says what stopped it
};

/// What one fill() added to the buffer: whole lines, one for each record or gap.
struct Fill {
  FillStatus status = FillStatus::caught_up;
  std::uint64_t lines = 0;
  std::uint64_t overtaken = 0;  ///< gaps among them that retention caused
};

/// Rendering is a function of the log alone: from the same position the same bytes come again. One thread.
class LineSource {
 public:
  LineSource() = default;
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;
  virtual ~LineSource() = default;

  /// Appends lines to `into` until it holds `bytes_target` bytes or more, or nothing more is readable.
  [[nodiscard]] virtual Fill fill(TextBuffer& into, std::size_t bytes_target) = 0;

  /// Goes on at `position`; if the log doesn't know it any more, behind the record `last`. Fails where the log can't be
  /// asked now: it is to be tried again.
  [[nodiscard]] virtual Result<> seek(LogPosition position, Sequence last) = 0;
  virtual void seek_oldest() = 0;

  /// Where the next fill() starts, and the last record before it (0 if unknown).
  [[nodiscard]] virtual LogPosition position() const = 0;
  [[nodiscard]] virtual Sequence last_sequence() const = 0;

  /// Bytes of log that are published and not yet rendered.
  [[nodiscard]] virtual std::uint64_t lag_bytes() const = 0;
  /// Returns when more may be readable or the time is over.
  virtual void wait(std::chrono::nanoseconds timeout) = 0;
  [[nodiscard]] virtual const Error& error() const = 0;
};

}  // namespace fastlogd::follow
