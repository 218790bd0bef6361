#include "segment/log_reader.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "segment/log_reader_state.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::chrono::milliseconds kOfflinePoll{50};

}  // namespace

// --- the segment to read from ---

std::uint64_t LogReader::State::limit() const {
  const std::uint64_t end = cursor_->end_offset();
  if (!control_) return end;
  const LogPosition committed = control_->committed();
  if (index_ < committed.segment()) return end;
  return index_ == committed.segment() ? std::min(end, committed.offset()) : 0;
}

void LogReader::State::go_to(std::uint64_t index) {
  cursor_.reset();
  behind_.clear();
  index_ = index;
  placed_ = true;
}

Result<std::vector<std::uint64_t>> LogReader::State::readable_segments() const {
  auto indices = list_segments(*files_, directory_);
  if (!indices) return indices;
  if (control_) {  // prepared ahead, not in use yet
    const std::uint64_t active = control_->committed().segment();
    std::erase_if(*indices, [active](std::uint64_t index) { return index > active; });
  }
  return indices;
}

LogReader::State::Step LogReader::State::fail(Error error) {
  error_ = std::move(error);
  return Step::failed;
}

LogReader::State::Step LogReader::State::report_gap(LogItem& item, Gap gap) {
  item.kind = LogItem::Kind::gap;
  item.gap = gap;
  item.position = item.next = position();
  if (gap.numbered()) expected_ = Sequence{gap.last.value + 1};
  return Step::item;
}

LogReader::State::Step LogReader::State::open_current(LogItem& item) {
  if (!placed_) {
    auto indices = readable_segments();
    if (!indices) return fail(indices.error());
    if (indices->empty()) return Step::caught_up;
    go_to(indices->front());
  }
  auto opened = SegmentCursor::open(*files_, directory_, index_, access_);
  if (opened) {
    cursor_ = std::move(*opened);
    return Step::again;
  }
  if (opened.error().code == std::errc::permission_denied) return fail(opened.error());
  // Removed by retention, or not to be trusted: go on with what follows.
  return open_following(item, index_);
}

LogReader::State::Step LogReader::State::open_following(LogItem& item, std::uint64_t after) {
  auto indices = readable_segments();
  if (!indices) return fail(indices.error());
  for (auto it = std::upper_bound(indices->begin(), indices->end(), after); it != indices->end(); ++it) {
    auto opened = SegmentCursor::open(*files_, directory_, *it, access_);
    if (!opened) continue;
    FrameView open;
    if (!opened->peek_block(0, opened->end_offset(), open)) continue;  // prepared, never used
    go_to(*it);
    cursor_ = std::move(*opened);
    const std::uint64_t first = open.header.sequence;
    const bool missed = *it != after + 1 || cursor_->index() != after + 1;
    if (missed && expected_.value != 0 && expected_.value < first) {
      return report_gap(item, Gap{.reason = ingress::LossReason::retention,
                                  .count = first - expected_.value,
                                  .first = expected_,
                                  .last = Sequence{first - 1}});
    }
    return Step::again;
  }
  return Step::caught_up;
}

// --- going forward ---

LogReader::State::Step LogReader::State::at_end_of_segment(LogItem& item) {
  if (control_ && index_ >= control_->committed().segment()) return Step::caught_up;
  if (control_ || cursor_->trailer()) return open_following(item, index_);
  // No daemon and no trailer: perhaps a crash. What follows is readable if it was used.
  cursor_->refresh();
  return open_following(item, index_);
}

LogReader::State::Step LogReader::State::skip_damage(LogItem& item) {
  const std::uint64_t end = limit();
  const std::uint64_t resume = next_block(cursor_->offset());
  // Behind damage only a trailer or a live daemon's watermark vouches for what follows.
  const bool vouched = control_ || cursor_->trailer();
  if (!vouched || resume >= end) return at_end_of_segment(item);
  FrameView frame;
  if (auto done = cursor_->seek_block(resume); !done) return fail(done.error());
  if (!cursor_->peek_block(resume, end, frame)) return skip_damage(item);
  const std::uint64_t first = frame.header.sequence;
  if (expected_.value == 0 || first <= expected_.value) return Step::again;
  return report_gap(item, Gap{.reason = ingress::LossReason::damaged,
                              .count = first - expected_.value,
                              .first = expected_,
                              .last = Sequence{first - 1}});
}

LogReader::State::Step LogReader::State::take(const FrameView& frame, LogItem& item) {
  item.position = LogPosition::of(index_, frame.offset);
  item.next = LogPosition::of(index_, frame.end());
  switch (frame.header.type) {
    case FrameType::data: {
      const Sequence sequence{frame.header.sequence};
      if (expected_.value != 0 && sequence > expected_) {
        cursor_->return_to(frame.offset);
        return report_gap(item, Gap{.count = sequence.value - expected_.value,
                                    .first = expected_,
                                    .last = Sequence{sequence.value - 1}});
      }
      if (!cursor_->record_of(frame, item.record)) return skip_damage(item);
      expected_ = Sequence{sequence.value + 1};
      item.kind = LogItem::Kind::record;
      return Step::item;
    }
    case FrameType::gap: {
      const auto gap = decode_gap(frame.payload);
      if (!gap) return Step::again;
      if (gap->numbered()) expected_ = std::max(expected_, Sequence{gap->last.value + 1});
      item.kind = LogItem::Kind::gap;
      item.gap = *gap;
      return Step::item;
    }
    case FrameType::seal: {
      cursor_->return_to(frame.offset);  // a cursor stored here finds the SEAL again
      return at_end_of_segment(item);
    }
    default:
      return Step::again;
  }
}

ReadStatus LogReader::State::next(LogItem& item) {
  behind_.clear();
  for (;;) {
    Step step = Step::again;
    if (!cursor_) {
      step = open_current(item);
    } else {
      FrameView frame;
      switch (cursor_->next(limit(), frame)) {
        case FrameStatus::valid:
          step = take(frame, item);
          break;
        case FrameStatus::unpublished:
        case FrameStatus::short_bytes:
          step = at_end_of_segment(item);
          break;
        case FrameStatus::invalid:
        case FrameStatus::unknown:
          step = skip_damage(item);
          break;
      }
    }
    if (step == Step::item) return ReadStatus::item;
    if (step == Step::caught_up) return ReadStatus::caught_up;
    if (step == Step::failed) return ReadStatus::failed;
  }
}

// --- waiting ---

void LogReader::State::check_control() {
  if (control_ && control_->current()) return;
  control_ = ControlReader::open(directory_);
  if (cursor_) cursor_->refresh();  // the torn tail of a crash may have been cut meanwhile
}

void LogReader::State::wait(std::chrono::nanoseconds timeout) {
  check_control();
  if (control_) {
    control_->wait(std::max(position(), LogPosition{}), timeout);
  } else {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(timeout, kOfflinePoll));
  }
}

LogPosition LogReader::State::position() const {
  return LogPosition::of(index_, cursor_ ? cursor_->offset() : kHeaderBytes);
}

LogPosition LogReader::State::committed() {
  if (control_) return control_->committed();
  return position();
}

// --- the public face ---

LogReader::LogReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

Result<LogReader> LogReader::open(const std::string& directory, Access access, FileSystem& files) {
  auto state = std::make_unique<State>(files, directory, access);
  auto indices = list_segments(files, directory);
  if (!indices) return indices.error();
  if (indices->empty() && !state->control()) {
    return Error{std::make_error_code(std::errc::no_such_file_or_directory), directory + ": no log here"};
  }
  return LogReader(std::move(state));
}

ReadStatus LogReader::next(LogItem& item) {
  return state_->next(item);
}
ReadStatus LogReader::previous(LogItem& item) {
  return state_->previous(item);
}
void LogReader::seek_oldest() {
  state_->seek_oldest();
}
void LogReader::seek_end() {
  state_->seek_end();
}
Result<> LogReader::seek(LogPosition position) {
  return state_->seek(position);
}
Result<> LogReader::seek_sequence(Sequence sequence) {
  return state_->seek_sequence(sequence);
}
Result<> LogReader::seek_time(std::int64_t time_ns) {
  return state_->seek_time(time_ns);
}
void LogReader::wait(std::chrono::nanoseconds timeout) {
  state_->wait(timeout);
}
LogPosition LogReader::position() const {
  return state_->position();
}
LogPosition LogReader::committed() const {
  return state_->committed();
}
LogPosition LogReader::durable() const {
  return state_->control() ? state_->control()->durable() : LogPosition{};
}
bool LogReader::live() const {
  return state_->control() && state_->control()->current();
}
const Error& LogReader::error() const {
  return state_->error();
}

}  // namespace fastlogd::segment
