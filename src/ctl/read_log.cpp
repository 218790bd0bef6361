#include "ctl/read_log.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/host_name.hpp"
#include "ctl/failure.hpp"
#include "ctl/open_log.hpp"
#include "segment/log_reader.hpp"

namespace fastlogd::ctl {
namespace {

using segment::LogItem;
using segment::ReadStatus;

constexpr std::chrono::milliseconds kFollowWait{250};

view::TextOptions text_options(view::OutputFormat format, const Terminal& terminal) {
  view::TextOptions options;
  options.format = format;
  options.escape = terminal.is_terminal;
  options.colour = terminal.colour;
  options.local_host = local_host_name();
  return options;
}

/// Messages alone are meant for programs that know nothing of gaps.
bool shows_gaps(const ReadRequest& request) {
  return request.only_time && request.format != view::OutputFormat::cat &&
         request.format != view::OutputFormat::raw;
}

class LogPrinter {
 public:
  LogPrinter(const ReadRequest& request, Output& output, const Terminal& terminal)
      : request_(request),
        spec_(request.filter.spec()),
        output_(output),
        renderer_(text_options(request.format, terminal)),
        reader_(open_log(request.stream)),
        show_gaps_(shows_gaps(request)) {}

  ExitCode run() {
    if (request_.reverse) {
      print_backwards();
    } else {
      go_to_start();
      print_forwards();
    }
    if (request_.show_cursor && cursor_.position.value != 0) {
      output_.write(fmt::format("{}{}\n", kCursorLine, format_cursor(cursor_)));
    }
    output_.flush();
    if (output_.failed()) return ExitCode::usage;
    if (failed_) return ExitCode::corruption;
    if (damaged_ && !request_.follow && !output_.closed()) {
      warn_of_damage(request_.stream);
      return ExitCode::corruption;
    }
    return found_ > 0 || request_.follow ? ExitCode::done : ExitCode::nothing_found;
  }

 private:
  void go_to_start();
  void go_to_end();
  void go_back(std::uint64_t records);
  void go_to_oldest();
  void refuse_cursor_beyond_end();
  void print_forwards();
  void print_backwards();
  [[nodiscard]] bool wait_for_more();
  /// Asked once: what a command shows was there when it began.
  [[nodiscard]] bool in_time_order() {
    if (!in_time_order_) in_time_order_ = reader_.in_time_order();
    return *in_time_order_;
  }
  [[nodiscard]] bool matches(const RecordView& record) const {
    return !request_.filtered || request_.filter.matches(record);
  }
  void show(const LogItem& item);
  void go_behind_gap(const LogItem& item);
  void show_gap(const segment::Gap& gap);
  void fail() {
    output_.flush();
    fmt::print(stderr, "fastlogctl: stream {}: {}\n", request_.stream.name, reader_.error().message());
    failed_ = true;
  }

  const ReadRequest& request_;
  const view::FilterSpec& spec_;
  Output& output_;
  view::RecordRenderer renderer_;
  segment::LogReader reader_;
  bool show_gaps_;
  std::optional<bool> in_time_order_;

  Cursor cursor_;
  LogPosition floor_;  ///< nothing in front of it is shown
  std::uint64_t found_ = 0;
  bool failed_ = false;
  bool damaged_ = false;  ///< some of what was asked for may be lost in it
};

void LogPrinter::go_to_start() {
  go_to_oldest();
  if (request_.lines) return go_back(*request_.lines);
  if (request_.after || spec_.since_ns == INT64_MIN) return;
  if (auto found = reader_.seek_time(spec_.since_ns); !found) reader_.seek_oldest();
}

/// A log that was removed and made anew would be silent until it has grown up to the cursor, and then go on in the middle:
/// who goes on where the last run ended would miss all before. It can't be guessed which records have been seen.
void LogPrinter::refuse_cursor_beyond_end() {
  reader_.seek_end();
  const LogPosition end = std::max(reader_.position(), reader_.committed());
  if (end.segment() == 0) return;  // the directory can't be read now: next() says why
  const Sequence next = reader_.expected();
  const bool no_such_number = next.value != 0 && cursor_.sequence >= next;
  if (cursor_.position <= end && (!no_such_number || reader_.seek(cursor_.position, cursor_.sequence)))
    return;
  throw Failure(
      ExitCode::usage,
      fmt::format("stream {}: the log ends before the cursor {}: it was made anew, or lost its end; "
                  "without --after-cursor it is shown from its beginning",
                  request_.stream.name, format_cursor(cursor_)));
}

/// The oldest place that may be shown: behind the cursor, or where the log begins.
void LogPrinter::go_to_oldest() {
  floor_ = {};
  if (!request_.after) return reader_.seek_oldest();
  cursor_ = *request_.after;
  refuse_cursor_beyond_end();
  if (reader_.seek(cursor_.position, cursor_.sequence)) {
    floor_ = cursor_.position;
    // Else the log has lost its end since, or it is another one.
  } else if (reader_.seek_sequence(Sequence{cursor_.sequence.value + 1})) {
    floor_ = reader_.position();
  } else {
    reader_.seek_oldest();
  }
}

/// Behind the newest record that may be shown.
void LogPrinter::go_to_end() {
  const bool until = spec_.until_ns != INT64_MAX;
  if (!until || !in_time_order() || !reader_.seek_time(spec_.until_ns + 1)) return reader_.seek_end();
  LogItem item;  // gaps that go on behind that time are in front of the next record; they may begin before it
  while (reader_.next(item) == ReadStatus::item) {
    if (item.kind != LogItem::Kind::record) continue;
    (void)reader_.previous(item);
    return;
  }
}

/// Stands before the newest `records` that match and that may be shown.
void LogPrinter::go_back(std::uint64_t records) {
  go_to_end();
  LogItem item;
  while (records > 0) {
    const ReadStatus status = reader_.previous(item);
    if (status == ReadStatus::failed) return fail();
    if (status == ReadStatus::caught_up || item.position < floor_) return go_to_oldest();
    if (item.kind != LogItem::Kind::record) continue;
    if (item.record.receive_time_ns < spec_.since_ns) {
      if (in_time_order() && reader_.seek_time(spec_.since_ns)) return;
      // Times never go back within a segment; between segments the clock was set.
      if (!reader_.seek(segment_start(item.position))) return;
    } else if (matches(item.record)) {
      --records;
    }
  }
}

void LogPrinter::print_forwards() {
  // A command that doesn't follow ends where the log ended when it began, however fast it grows.
  const LogPosition end = reader_.live() && !request_.follow ? reader_.committed() : LogPosition{UINT64_MAX};
  LogItem item;
  while (!failed_ && !output_.closed()) {
    const ReadStatus status = reader_.next(item);
    if (status == ReadStatus::failed) return fail();
    if (status == ReadStatus::caught_up) {
      if (!request_.follow || !wait_for_more()) return;
      continue;
    }
    if (item.position >= end) return;
    if (item.kind == LogItem::Kind::record && item.record.receive_time_ns > spec_.until_ns) {
      if (!request_.follow && in_time_order()) return;
      if (!reader_.seek(next_segment(item.position))) return;
      continue;
    }
    // Behind the last one asked for, what is lost is told, too; a match there came when this had begun.
    const bool enough = !request_.follow && request_.lines && found_ >= *request_.lines;
    if (enough && item.kind == LogItem::Kind::record && matches(item.record)) return;
    show(item);
  }
}

void LogPrinter::print_backwards() {
  go_to_oldest();  // to know where it is
  go_to_end();
  LogItem item;
  while (!output_.closed() && (!request_.lines || found_ < *request_.lines)) {
    const ReadStatus status = reader_.previous(item);
    if (status == ReadStatus::failed) return fail();
    if (status == ReadStatus::caught_up || item.position < floor_) return;
    if (item.kind == LogItem::Kind::record && item.record.receive_time_ns < spec_.since_ns) {
      if (in_time_order()) return;
      if (!reader_.seek(segment_start(item.position))) return;
      continue;
    }
    show(item);
  }
}

/// False when nobody reads the output any more.
bool LogPrinter::wait_for_more() {
  output_.flush();
  if (output_.closed(true)) return false;
  reader_.wait(kFollowWait);
  return true;
}

void LogPrinter::show(const LogItem& item) {
  damaged_ = damaged_ || is_damage(item);
  if (item.kind == LogItem::Kind::gap) {
    if (!request_.reverse) go_behind_gap(item);
    return show_gap(item.gap);
  }
  cursor_ = {item.next, item.record.sequence};
  if (!matches(item.record)) return;
  renderer_.append(output_.buffer(), item.record);
  output_.written();
  ++found_;
}

/// Else a gap at the log's end would be told by every run that goes on at the cursor. A reader's own gap has no place in the
/// log, and one behind the time asked for is left to a run that asks for it.
void LogPrinter::go_behind_gap(const LogItem& item) {
  if (item.frame.empty() || item.gap.from_ns > spec_.until_ns) return;
  const Sequence next = reader_.expected();
  cursor_.position = item.next;
  cursor_.sequence = next.value != 0 ? Sequence{next.value - 1} : std::max(cursor_.sequence, item.gap.last);
}

void LogPrinter::show_gap(const segment::Gap& gap) {
  if (!show_gaps_ || !within(gap, spec_.since_ns, spec_.until_ns)) return;
  renderer_.append_gap(output_.buffer(),
                       {gap.reason, gap.count, gap.first, gap.last, gap.from_ns, gap.to_ns});
  output_.written();
}

}  // namespace

ExitCode read_log(const ReadRequest& request) {
  const Terminal terminal = Terminal::of(STDOUT_FILENO);
  Output output(STDOUT_FILENO);
  if (request.pager) output.start_pager();
  return read_log(request, output, terminal);
}

ExitCode read_log(const ReadRequest& request, Output& output, const Terminal& terminal) {
  return LogPrinter(request, output, terminal).run();
}

}  // namespace fastlogd::ctl
