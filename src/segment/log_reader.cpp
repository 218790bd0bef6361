#include "segment/log_reader.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "segment/log_reader_state.hpp"
#include "segment/told_end.hpp"
#include "segment/unsealed_scan.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::chrono::milliseconds kOfflinePoll{50};

}  // namespace

// --- the segment to read from ---

std::uint64_t LogReader::State::limit() const {
  const std::uint64_t end = cursor_->end_offset();
  if (control_) {
    const LogPosition committed = control_->committed();
    if (index_ == committed.segment()) return std::min(end, committed.offset());
    if (index_ > committed.segment()) return 0;
    if (left_unfinished()) return trusted_end();
  }
  return cursor_->trailer() ? end : end_by_next();
}

/// Where the end can't be asked now: to be tried again, and never taken for an end.
std::uint64_t LogReader::State::unknown_end(const Error& error) const {
  trouble_ = error;
  return 0;
}

/// Behind a segment that took no more stores may lie frames that could not be taken back. Asked once: it costs a few reads.
std::uint64_t LogReader::State::end_by_next() const {
  if (told_ && told_->segment() == index_) return told_->offset();
  const auto indices = readable_segments();
  if (!indices) return unknown_end(indices.error());
  const auto told = find_told_end(*files_, directory_, *indices, cursor_->header());
  if (!told) return unknown_end(told.error());
  told_ = LogPosition::of(index_, told->value_or(frames_end(cursor_->header().segment_bytes)));
  return told_->offset();
}

/// A start brings the segments of earlier runs in order, unless the disk did not let it.
bool LogReader::State::left_unfinished() const {
  return !cursor_->trailer() && cursor_->header().epoch != control_->epoch();
}

/// Nobody vouches for what lies behind the first frame that is not valid. It stays as it is until the next start.
std::uint64_t LogReader::State::trusted_end() const {
  if (trusted_ && trusted_->segment() == index_) return trusted_->offset();
  auto cursor = SegmentCursor::open(*files_, directory_, index_, Access::pread);
  if (!cursor) return is_no_segment(cursor.error()) ? kHeaderBytes : unknown_end(cursor.error());
  const auto indices = readable_segments();
  if (!indices) return unknown_end(indices.error());
  const auto next = open_behind(*files_, directory_, *indices, index_);
  if (!next) return unknown_end(next.error());
  trusted_ = LogPosition::of(index_, scan_unsealed(*files_, *cursor, *next).valid_end);
  return trusted_->offset();
}

void LogReader::State::go_to(std::uint64_t index) {
  cursor_.reset();
  behind_.clear();
  told_.reset();
  trouble_.reset();
  index_ = index;
  placed_ = true;
  gap_due_ = false;
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

LogReader::State::Step LogReader::State::fail_by_trouble() {
  return fail(*std::exchange(trouble_, std::nullopt));
}

LogReader::State::Step LogReader::State::report_gap(LogItem& item, Gap gap) {
  item.kind = LogItem::Kind::gap;
  item.gap = gap;
  item.frame = {};
  item.position = item.next = position();
  if (gap.numbered()) expected_ = Sequence{gap.last.value + 1};
  return Step::item;
}

Result<LogReader::State::Following> LogReader::State::find_following(std::uint64_t from) const {
  auto indices = readable_segments();
  if (!indices) return indices.error();
  Following following;
  for (auto it = std::lower_bound(indices->begin(), indices->end(), from); it != indices->end(); ++it) {
    auto opened = SegmentCursor::open(*files_, directory_, *it, access_);
    if (!opened) {
      if (is_bad_segment(opened.error())) {
        following.refused = true;
      } else if (opened.error().code != std::errc::no_such_file_or_directory) {
        return opened.error();
      }
      continue;
    }
    if (!opened->first_sequence()) continue;  // prepared, never used
    following.cursor = std::move(*opened);
    break;
  }
  return following;
}

LogReader::State::Step LogReader::State::move_on(LogItem& item, Following following, std::uint64_t from) {
  const bool missed = placed_ && following.cursor->index() != from;
  const bool gap_due = gap_due_;
  const auto reason = following.refused ? ingress::LossReason::damaged : ingress::LossReason::retention;
  const std::uint64_t first = *following.cursor->first_sequence();
  go_to(following.cursor->index());
  cursor_ = std::move(following.cursor);
  if (!missed) return Step::again;
  if (expected_.value == 0) return gap_due ? report_gap(item, Gap{.reason = reason}) : Step::again;
  if (expected_.value >= first) return Step::again;
  return report_gap(item, Gap{.reason = reason,
                              .count = first - expected_.value,
                              .first = expected_,
                              .last = Sequence{first - 1}});
}

/// Goes to the first segment in use from `from` on. A jump over others is reported.
LogReader::State::Step LogReader::State::open_from(LogItem& item, std::uint64_t from) {
  auto following = find_following(from);
  if (!following) return fail(following.error());
  return following->cursor ? move_on(item, std::move(*following), from) : Step::caught_up;
}

// --- going forward ---

/// `complete`: the SEAL frame was seen.
LogReader::State::Step LogReader::State::at_end_of_segment(LogItem& item, bool complete) {
  // By the position that next() saw, not by a newer one: a roll is published with the end of the segment before it,
  // and that end may lie behind the limit that was read up to.
  if (control_ && index_ >= seen_.segment()) return Step::caught_up;
  if (complete || vouched()) return open_from(item, index_ + 1);
  // No daemon known and no trailer: a crash, or a daemon that began after we looked.
  cursor_->refresh();
  if (cursor_->trailer()) return Step::again;
  auto following = find_following(index_ + 1);
  if (!following) return fail(following.error());
  if (!following->cursor) return Step::caught_up;
  // A successor in use means that this segment is complete by now. It need not have been when we looked.
  const std::uint64_t at = cursor_->offset();
  told_.reset();  // and that somebody says by now where it ended
  FrameView frame;
  const std::uint64_t end = limit();
  if (trouble_) return fail_by_trouble();
  if (cursor_->next(end, frame) == FrameStatus::valid) {
    cursor_->return_to(at);
    return Step::again;
  }
  return move_on(item, std::move(*following), index_ + 1);
}

/// Behind damage only a trailer or a live daemon's watermark vouches for what follows, from the next block on.
LogReader::State::Step LogReader::State::skip_damage(LogItem& item) {
  if (!vouched()) return at_end_of_segment(item, false);
  const auto& trailer = cursor_->trailer();
  if (trailer && expected_.value == 0 && cursor_->offset() == kHeaderBytes) {
    expected_ = Sequence{trailer->first_sequence};
  }
  const std::uint64_t end = limit();
  if (trouble_) return fail_by_trouble();
  FrameView frame;
  for (std::uint64_t block = next_block(cursor_->offset()); block < end; block += kBlockBytes) {
    if (!cursor_->peek_block(block, end, frame)) continue;
    const std::uint64_t sequence = frame.header.sequence;
    if (auto done = cursor_->seek_block(block); !done) return fail(done.error());
    return missing_until(sequence, item);
  }
  if (!trailer) return at_end_of_segment(item, false);
  cursor_->return_to(end);
  return missing_until(trailer->last_sequence + 1, item);
}

/// Reading goes on with record `sequence`, because of damage before it.
LogReader::State::Step LogReader::State::missing_until(std::uint64_t sequence, LogItem& item) {
  if (expected_.value == 0 || sequence <= expected_.value) return Step::again;
  return report_gap(item, Gap{.reason = ingress::LossReason::damaged,
                              .count = sequence - expected_.value,
                              .first = expected_,
                              .last = Sequence{sequence - 1}});
}

LogReader::State::Step LogReader::State::take(const FrameView& frame, LogItem& item) {
  item.position = LogPosition::of(index_, frame.offset);
  item.next = LogPosition::of(index_, frame.end());
  item.frame = frame.bytes();
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
    case FrameType::open:
      if (expected_.value == 0) expected_ = Sequence{frame.header.sequence};
      return Step::again;
    case FrameType::seal:
      cursor_->return_to(frame.offset);  // a cursor stored here finds the SEAL again
      return at_end_of_segment(item, true);
    default:
      return Step::again;
  }
}

LogReader::State::Step LogReader::State::step(LogItem& item) {
  if (!cursor_) return open_from(item, placed_ ? index_ : 0);
  const std::uint64_t end = limit();
  if (trouble_) [[unlikely]]
    return fail_by_trouble();
  FrameView frame;
  switch (cursor_->next(end, frame)) {
    case FrameStatus::valid:
      return take(frame, item);
    case FrameStatus::unpublished:
    case FrameStatus::short_bytes:
      // Below a trailer's or the watermark's end there is no unpublished space: a page was lost.
      if (vouched() && skip_block_rest(cursor_->offset()) < end) return skip_damage(item);
      return at_end_of_segment(item, false);
    default:
      return skip_damage(item);
  }
}

ReadStatus LogReader::State::next(LogItem& item) {
  behind_.clear();
  told_from_ = {};
  for (;;) {
    if (control_) seen_ = control_->committed();
    switch (step(item)) {
      case Step::item:
        return ReadStatus::item;
      case Step::caught_up:
        return ReadStatus::caught_up;
      case Step::failed:
        return ReadStatus::failed;
      case Step::again:
        break;
    }
  }
}

// --- waiting ---

void LogReader::State::check_control() {
  if (control_ && control_->current()) return;
  control_ = ControlReader::open(directory_);
  told_.reset();
  if (cursor_) cursor_->refresh();  // the torn tail of a crash may have been cut meanwhile
}

void LogReader::State::wait(std::chrono::nanoseconds timeout) {
  check_control();
  if (timeout.count() <= 0) return;
  if (control_) {
    control_->wait(seen_, timeout);  // not the reader's own place: damage may keep that behind for good
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
Result<> LogReader::seek(LogPosition position, Sequence last) {
  return state_->seek(position, last);
}
Result<> LogReader::seek_sequence(Sequence sequence) {
  return state_->seek_sequence(sequence);
}
Result<> LogReader::seek_time(std::int64_t time_ns) {
  return state_->seek_time(time_ns);
}
const std::shared_ptr<SegmentHold>& LogReader::hold() const {
  static const std::shared_ptr<SegmentHold> none;
  return state_->cursor() ? state_->cursor()->hold() : none;
}
void LogReader::recheck() {
  state_->recheck();
}
bool LogReader::in_time_order() {
  return state_->in_time_order();
}
void LogReader::wait(std::chrono::nanoseconds timeout) {
  state_->wait(timeout);
}
LogPosition LogReader::position() const {
  return state_->position();
}
Sequence LogReader::expected() const {
  return state_->expected();
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
