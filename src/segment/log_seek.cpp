// The jumps of a LogReader: to the ends, to a position, by sequence or time, and backwards.
#include <algorithm>

#include "segment/log_reader_state.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {

void LogReader::State::seek_oldest() {
  cursor_.reset();
  behind_.clear();
  placed_ = gap_due_ = false;
  expected_ = {};
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
    if (vouched() && cursor_->offset() < end && end < frames_end(cursor_->header().segment_bytes)) {
      cursor_->return_to(end);
      expected_ = {};
    }
    return;
  }
}

Result<> LogReader::State::seek(LogPosition position) {
  seek_oldest();
  auto opened = SegmentCursor::open(*files_, directory_, position.segment(), access_);
  if (!opened) {
    if (opened.error().code != std::errc::no_such_file_or_directory) return opened.error();
    go_to(position.segment());
    gap_due_ = true;
    return {};
  }
  if (auto done = opened->seek(position.offset()); !done) return done;
  go_to(position.segment());
  cursor_ = std::move(*opened);
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
    if (auto done = seek(position); !done) return done;
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

bool LogReader::State::give_back(std::uint64_t at, LogItem& item) {
  cursor_->return_to(at);
  FrameView frame;
  const FrameStatus status = cursor_->next(limit(), frame);
  cursor_->return_to(at);  // next() gives the same item again
  if (status != FrameStatus::valid) return false;
  item.position = LogPosition::of(index_, at);
  item.next = LogPosition::of(index_, frame.end());
  item.frame = frame.bytes();
  if (frame.header.type == FrameType::data) {
    item.kind = LogItem::Kind::record;
    return cursor_->record_of(frame, item.record);
  }
  const auto gap = decode_gap(frame.payload);
  item.kind = LogItem::Kind::gap;
  if (gap) item.gap = *gap;
  return gap.has_value();
}

Result<bool> LogReader::State::step_back() {
  auto indices = readable_segments();
  if (!indices) return indices.error();
  auto it = std::lower_bound(indices->begin(), indices->end(), index_);
  bool opened = false;
  while (!opened && it != indices->begin()) opened = open_quietly(*--it);
  if (!opened) return false;
  // Where its end is not written down, begin at the end of the last used block.
  const std::uint64_t end = limit();
  cursor_->return_to(cursor_->trailer() ? end : std::min(next_block(cursor_->last_block(end)), end));
  return true;
}

ReadStatus LogReader::State::previous(LogItem& item) {
  expected_ = {};
  while (placed_) {
    while (!behind_.empty()) {
      const std::uint64_t at = behind_.back();
      behind_.pop_back();
      if (give_back(at, item)) return ReadStatus::item;
    }
    if (cursor_ && cursor_->offset() > kHeaderBytes) {
      const std::uint64_t end = cursor_->offset();
      auto offsets = cursor_->frames_before(end);
      if (!offsets) {
        (void)fail(offsets.error());
        return ReadStatus::failed;
      }
      behind_ = std::move(*offsets);
      // Nothing left in front of this block's frames: the next round looks at the block before.
      cursor_->return_to(std::max((end - 1) / kBlockBytes * kBlockBytes, kHeaderBytes));
      continue;
    }
    auto stepped = step_back();
    if (!stepped) {
      (void)fail(stepped.error());
      return ReadStatus::failed;
    }
    if (!*stepped) break;
  }
  return ReadStatus::caught_up;
}

}  // namespace fastlogd::segment
