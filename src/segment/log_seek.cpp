// The jumps of a LogReader: to the ends, to a position, by sequence or time, and backwards.
#include <algorithm>
#include <utility>

#include "segment/log_reader_state.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {

void LogReader::State::seek_oldest() {
  cursor_.reset();
  behind_.clear();
  index_ = 0;
  placed_ = gap_due_ = false;
  expected_ = told_from_ = {};
}

bool LogReader::State::open_quietly(std::uint64_t index) {
  auto opened = SegmentCursor::open(*files_, directory_, index, access_);
  if (!opened) return false;
  if (!opened->first_sequence()) return false;  // prepared, never used
  go_to(index);
  cursor_ = std::move(*opened);
  return true;
}

void LogReader::State::seek_end() {
  check_control();
  seek_oldest();
  auto indices = readable_segments();
  if (!indices) return;
  for (auto it = indices->rbegin(); it != indices->rend(); ++it) {
    if (!open_quietly(*it)) continue;
    const std::uint64_t end =
        limit();  // once: what is appended meanwhile is for next() to read, with its SOURCE frames
    (void)cursor_->seek_block(cursor_->last_block(end));
    FrameView frame;
    while (cursor_->next(end, frame) == FrameStatus::valid) {
      expected_ = Sequence{frame.header.sequence + (frame.header.type == FrameType::data ? 1U : 0U)};
      if (frame.header.type == FrameType::seal) break;
    }
    // Damage may have stopped the walk: the end is where trailer or watermark say.
    const auto& trailer = cursor_->trailer();
    const bool known = trailer || (control_ && end < frames_end(cursor_->header().segment_bytes));
    if (known && cursor_->offset() < end) {
      cursor_->return_to(end);
      expected_ = Sequence{trailer ? trailer->last_sequence + 1 : 0};
    }
    return;
  }
}

Result<> LogReader::State::seek(LogPosition position, Sequence last) {
  seek_oldest();
  auto opened = SegmentCursor::open(*files_, directory_, position.segment(), access_);
  if (!opened) {
    if (opened.error().code != std::errc::no_such_file_or_directory) return opened.error();
    go_to(position.segment());
    gap_due_ = true;
  } else {
    if (auto done = stand_at(*opened, position.offset(), last); !done) return done;
    go_to(position.segment());
    cursor_ = std::move(*opened);
  }
  if (last.value != 0) expected_ = Sequence{last.value + 1};
  return {};
}

/// The end that a trailer names needs no walk there: damage in the block before may not let it come so far. A start may
/// have put it before a place that has been read, where a power loss took the rest: then what is left has been read, too,
/// and numbers behind it are given anew.
Result<> LogReader::State::stand_at(SegmentCursor& cursor, std::uint64_t offset, Sequence& last) {
  const auto& trailer = cursor.trailer();
  const std::uint64_t end = cursor.end_offset();
  if (!trailer || offset < end || offset > frames_end(cursor.header().segment_bytes))
    return cursor.seek(offset);
  if (trailer->state != TrailerState::sealed) {
    last = std::min(last, Sequence{trailer->last_sequence});
  } else if (offset != end) {
    return cursor.seek(offset);
  }
  cursor.return_to(end);
  return {};
}

// --- by sequence or time ---

/// What is known of a segment without reading what lies between its ends; nothing of one that can't be used.
std::optional<LogReader::State::Ends> LogReader::State::ends_of(std::uint64_t index) const {
  auto opened = open_segment(*files_, directory_, index);
  if (!opened) return std::nullopt;
  Ends ends{.index = index};
  if (opened->trailer) {
    const FileTrailer& trailer = *opened->trailer;
    ends = {.index = index,
            .last_sequence = trailer.last_sequence,
            .first_time_ns = trailer.time_min_ns,
            .last_time_ns = trailer.time_max_ns,
            .sealed = true,
            .empty = trailer.record_count == 0,
            .ordered_since = trailer.ordered_since};
    if (!ends.empty) return ends;
  }
  auto cursor = SegmentCursor::open(*files_, directory_, index, Access::pread);
  FrameView open;
  if (!cursor) return std::nullopt;
  cursor->read_ahead(limits::kPageBytes);
  if (!cursor->peek_block(0, cursor->end_offset(), open)) return std::nullopt;
  ends.first_time_ns = open.header.time_ns;
  if (ends.sealed) ends.last_time_ns = open.header.time_ns;
  return ends;
}

/// The newest trailer speaks for all segments before it; those without one are few and are asked each.
bool LogReader::State::in_time_order() {
  const auto indices = readable_segments();
  if (!indices) return false;
  std::int64_t next_first = INT64_MAX;
  for (auto it = indices->rbegin(); it != indices->rend(); ++it) {
    auto ends = ends_of(*it);
    if (!ends) continue;
    if (!ends->sealed && next_first != INT64_MAX) ends->last_time_ns = newest_time_of(*it);
    if (!ends->empty && next_first < ends->last_time_ns && next_first != INT64_MAX) return false;
    if (ends->sealed) return ends->ordered_since != 0 && ends->ordered_since <= indices->front();
    next_first = ends->first_time_ns;
  }
  return true;
}

/// Of a segment that is full and not sealed yet.
std::int64_t LogReader::State::newest_time_of(std::uint64_t index) const {
  auto cursor = SegmentCursor::open(*files_, directory_, index, Access::pread);
  if (!cursor || !cursor->seek_block(cursor->last_block(cursor->end_offset()))) return INT64_MAX;
  FrameView frame;
  std::int64_t newest = INT64_MIN;
  while (cursor->next(cursor->end_offset(), frame) == FrameStatus::valid) {
    newest = frame.header.time_ns;
    if (frame.header.type == FrameType::seal) break;
  }
  return newest;
}

/// The first segment that is not before the key, else the last one; 0 if there is none. Bisects if `ordered`.
std::uint64_t LogReader::State::find_segment(std::vector<std::uint64_t> indices, bool ordered,
                                             const std::function<bool(const Ends&)>& before) const {
  std::size_t low = 0;
  std::size_t high = indices.size();
  while (low < high) {
    const std::size_t middle = ordered ? low + (high - low) / 2 : low;
    const auto ends = ends_of(indices[middle]);
    if (!ends) {
      indices.erase(indices.begin() + static_cast<std::ptrdiff_t>(middle));
      --high;
    } else if (before(*ends)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return indices.empty() ? 0 : indices[std::min(low, indices.size() - 1)];
}

/// Walks on to the first record that `before` is not true of, or to the first of the GAP frames directly in front of it
/// that end at or after the key: by time, what was lost since then belongs to it. One that doesn't know when it ended may.
/// By number (0 is before every number) no GAP stops the walk.
Result<> LogReader::State::seek_key(std::uint64_t segment, const BeforeKey& before_or_at,
                                    const BeforeKey& before) {
  if (!open_quietly(segment)) {
    seek_oldest();
  } else if (auto done = seek_near(*cursor_, limit(), before_or_at); !done) {
    return done;
  }
  const std::uint64_t near = cursor_ ? cursor_->offset() : 0;
  if (const bool gaps_count = !before(0, INT64_MAX); gaps_count && near != 0 && near % kBlockBytes == 0) {
    // At the beginning of a block, which may begin with the key: GAP frames in front of it end the block before.
    if (auto done = cursor_->seek_block(near - kBlockBytes); !done) return done;
  }
  LogItem item;
  ReadStatus status = ReadStatus::item;
  std::optional<std::pair<LogPosition, Sequence>> first_gap;  // and what was expected behind it
  for (Sequence expected = expected_; (status = next(item)) == ReadStatus::item; expected = expected_) {
    if (item.kind == LogItem::Kind::record) {
      if (!before(item.record.sequence.value, item.record.receive_time_ns)) break;
      first_gap.reset();
    } else if (!first_gap && item.position != item.next) {  // not a reader's own: it is no frame
      const std::int64_t end_ns = item.gap.to_ns == 0 ? INT64_MAX : item.gap.to_ns;
      if (!before(0, end_ns)) first_gap.emplace(item.position, expected);
    }
  }
  if (status == ReadStatus::failed) return error_;
  if (!first_gap && status == ReadStatus::item) first_gap.emplace(item.position, item.record.sequence);
  if (!first_gap) return {};
  const auto [position, expected] = *first_gap;
  if (!cursor_ || position.segment() != index_) {
    if (auto done = seek(position, {}); !done) return done;
  }
  cursor_->return_to(position.offset());
  expected_ = expected;
  return {};
}

Result<> LogReader::State::seek_sequence(Sequence sequence) {
  check_control();
  seek_oldest();
  auto indices = readable_segments();
  if (!indices) return indices.error();
  const std::uint64_t key = sequence.value;
  const auto segment = find_segment(
      std::move(*indices), true, [key](const Ends& ends) { return ends.sealed && ends.last_sequence < key; });
  // Blocks begin with the number that comes next: one that begins with the key's own is not behind it.
  return seek_key(
      segment, [key](std::uint64_t number, std::int64_t) { return number <= key; },
      [key](std::uint64_t number, std::int64_t) { return number < key; });
}

Result<> LogReader::State::seek_time(std::int64_t time_ns) {
  check_control();
  seek_oldest();
  auto indices = readable_segments();
  if (!indices) return indices.error();
  std::optional<Ends> in_front;  // the last one that is before the time, and the first that is not
  std::optional<Ends> found;
  auto segment = find_segment(std::move(*indices), in_time_order(), [&](const Ends& ends) {
    const bool is_before = ends.sealed && ends.last_time_ns < time_ns;
    (is_before ? in_front : found) = ends;
    return is_before;
  });
  // The first record of a segment: what was lost before it stands at the end of the one before.
  if (in_front && found && found->first_time_ns >= time_ns) segment = in_front->index;
  // Records with the very time asked for may lie in front of a block that begins with it.
  const BeforeKey before = [time_ns](std::uint64_t, std::int64_t time) { return time < time_ns; };
  return seek_key(segment, before, before);
}

// --- backwards ---

/// Whatever is in front of record `number` is told from here on, and may be missing for `why`. What is missing from there
/// to what was told last: a gap, unless GAP frames in between have told of it.
LogReader::State::Step LogReader::State::told_down_to(std::uint64_t number, ingress::LossReason why,
                                                      LogItem& item) {
  const std::uint64_t end = told_from_.value;
  const std::uint64_t first = std::max(number, covered_.value + 1);
  const ingress::LossReason reason = std::exchange(missing_because_, why);
  told_from_ = Sequence{end == 0 ? number : std::min(number, end)};
  covered_ = {};
  if (end == 0 || first >= end) return Step::again;
  const Step step = report_gap(
      item, Gap{.reason = reason, .count = end - first, .first = Sequence{first}, .last = Sequence{end - 1}});
  expected_ = {};
  return step;
}

/// The frame at `at`, or first what is missing behind it.
LogReader::State::Step LogReader::State::give_back(std::uint64_t at, LogItem& item) {
  const std::uint64_t end = limit();
  if (trouble_) return fail_by_trouble();
  cursor_->return_to(at);
  FrameView frame;
  const bool valid = cursor_->next(end, frame) == FrameStatus::valid;
  if (valid && frame.header.type == FrameType::data &&
      told_down_to(frame.header.sequence + 1, ingress::LossReason::none, item) == Step::item) {
    expected_ = item.gap.first;  // next() tells the same gap again
    return Step::item;
  }
  behind_.pop_back();
  cursor_->return_to(at);  // next() gives the same item again
  return valid && take_back(frame, item) ? Step::item : Step::again;
}

bool LogReader::State::take_back(const FrameView& frame, LogItem& item) {
  item.position = LogPosition::of(index_, frame.offset);
  item.next = LogPosition::of(index_, frame.end());
  item.frame = frame.bytes();
  if (frame.header.type == FrameType::data) {
    item.kind = LogItem::Kind::record;
    if (!cursor_->record_of(frame, item.record)) {
      missing_because_ = ingress::LossReason::damaged;
      return false;
    }
    told_from_ = item.record.sequence;
    return true;
  }
  const auto gap = decode_gap(frame.payload);
  if (!gap) return false;
  item.kind = LogItem::Kind::gap;
  item.gap = *gap;
  covered_ = std::max(covered_, gap->last);
  return true;
}

/// The number of the first record behind `end`, where something vouches that frames go on up to there.
std::optional<std::uint64_t> LogReader::State::number_behind(std::uint64_t end) {
  const auto& trailer = cursor_->trailer();
  if (trailer && end >= trailer->end_offset) return trailer->last_sequence + 1;
  FrameView frame;
  if (cursor_->peek_block(end, limit(), frame)) return frame.header.sequence;
  if (trailer) return told_from_.value;
  return std::nullopt;
}

LogReader::State::Step LogReader::State::block_before(LogItem& item) {
  const std::uint64_t end = cursor_->offset();
  auto offsets = cursor_->frames_before(end);
  if (!offsets) return fail(offsets.error());
  behind_ = std::move(*offsets);
  const bool broke_off = skip_block_rest(cursor_->offset()) < end;
  // Nothing left in front of this block's frames: then the block before is next.
  cursor_->return_to(std::max((end - 1) / kBlockBytes * kBlockBytes, kHeaderBytes));
  const auto number = broke_off ? number_behind(end) : std::nullopt;
  if (!number) return Step::again;
  const Step step = told_down_to(*number, ingress::LossReason::damaged, item);
  if (step == Step::item)
    item.position = item.next = LogPosition::of(index_, end);  // it is missing behind that
  return step;
}

LogReader::State::Step LogReader::State::segment_before(LogItem& item) {
  auto indices = readable_segments();
  if (!indices) return fail(indices.error());
  bool refused = false;
  for (auto it = std::lower_bound(indices->begin(), indices->end(), index_); it != indices->begin();) {
    auto opened = SegmentCursor::open(*files_, directory_, *--it, access_);
    if (!opened) {
      if (is_bad_segment(opened.error())) {
        refused = true;
      } else if (opened.error().code != std::errc::no_such_file_or_directory) {
        return fail(opened.error());
      }
      continue;
    }
    if (!opened->first_sequence()) continue;  // prepared, never used
    return go_back_to(std::move(*opened), refused, item);
  }
  // The oldest end.
  const auto first = cursor_ ? cursor_->first_sequence() : std::nullopt;
  const Step step = first ? told_down_to(*first, ingress::LossReason::none, item) : Step::again;
  return step == Step::item ? step : Step::caught_up;
}

/// `refused`: a file between it and the current segment is there and is no segment.
LogReader::State::Step LogReader::State::go_back_to(SegmentCursor cursor, bool refused, LogItem& item) {
  Step step = Step::again;
  if (!cursor_ || cursor.index() + 1 != index_) {
    const auto first = cursor_ ? cursor_->first_sequence() : std::nullopt;
    const auto reason = refused ? ingress::LossReason::damaged : ingress::LossReason::retention;
    step = told_down_to(first.value_or(told_from_.value), reason, item);
  }
  const std::uint64_t here = index_;
  go_to(cursor.index());
  cursor_ = std::move(cursor);
  // Where its end is not written down, begin at the end of the last used block.
  const std::uint64_t end = limit();
  if (trouble_) {
    const Step failed = fail_by_trouble();
    go_to(here);
    return failed;
  }
  cursor_->return_to(cursor_->trailer() ? end : std::min(next_block(cursor_->last_block(end)), end));
  return step;
}

LogReader::State::Step LogReader::State::step_back(LogItem& item) {
  if (!behind_.empty()) return give_back(behind_.back(), item);
  if (cursor_ && cursor_->offset() > kHeaderBytes) return block_before(item);
  return segment_before(item);
}

ReadStatus LogReader::State::previous(LogItem& item) {
  if (told_from_.value == 0) {
    told_from_ = expected_;
    covered_ = {};
    missing_because_ = ingress::LossReason::none;
  }
  expected_ = {};
  Step step = Step::again;
  while (placed_ && step == Step::again) step = step_back(item);
  if (step == Step::item) return ReadStatus::item;
  expected_ = told_from_;
  return step == Step::failed ? ReadStatus::failed : ReadStatus::caught_up;
}

}  // namespace fastlogd::segment
