// The jumps of a LogReader: to the ends, to a position, by sequence or time, and backwards.
#include <algorithm>

#include "segment/log_reader_state.hpp"

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
    (void)cursor_->seek_block(cursor_->last_block(limit()));
    FrameView frame;
    while (cursor_->next(limit(), frame) == FrameStatus::valid) {
      expected_ = Sequence{frame.header.sequence + (frame.header.type == FrameType::data ? 1U : 0U)};
      if (frame.header.type == FrameType::seal) break;
    }
    // Damage may have stopped the walk: the end is where trailer or watermark say.
    if (vouched() && cursor_->offset() < limit() && limit() < frames_end(cursor_->header().segment_bytes)) {
      cursor_->return_to(limit());
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

/// `before(open frame header)` is true for segments and blocks that begin before the key; `reached` for
/// records at or behind it. Bisects the segments, then the blocks of one, then walks at most one block.
template <class Before>
Result<> LogReader::State::seek_key(Before before, bool (*reached)(const FrameHeader&, std::int64_t),
                                    std::int64_t key) {
  check_control();
  seek_oldest();
  auto indices = readable_segments();
  if (!indices) return indices.error();
  std::size_t low = 0;
  std::size_t high = indices->size();
  FrameView frame;
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    const bool usable = open_quietly((*indices)[middle]) && cursor_->peek_block(0, limit(), frame);
    (usable && before(frame.header) ? low : high) = middle;
  }
  if (!indices->empty() && open_quietly((*indices)[low])) {
    std::uint64_t first = 0;
    std::uint64_t last = cursor_->last_block(limit()) / kBlockBytes + 1;
    while (last - first > 1) {
      const std::uint64_t middle = first + (last - first) / 2;
      (cursor_->peek_block(middle * kBlockBytes, limit(), frame) && before(frame.header) ? first : last) =
          middle;
    }
    if (auto done = cursor_->seek_block(first * kBlockBytes); !done) return done;
  } else {
    seek_oldest();
  }
  LogItem item;
  ReadStatus status = ReadStatus::item;
  while ((status = next(item)) == ReadStatus::item) {
    if (item.kind != LogItem::Kind::record) continue;
    const FrameHeader found{.sequence = item.record.sequence.value, .time_ns = item.record.receive_time_ns};
    if (!reached(found, key)) continue;
    cursor_->return_to(item.position.offset());
    expected_ = item.record.sequence;
    break;
  }
  if (status == ReadStatus::failed) return error_;
  return {};
}

Result<> LogReader::State::seek_sequence(Sequence sequence) {
  return seek_key([sequence](const FrameHeader& header) { return header.sequence <= sequence.value; },
                  [](const FrameHeader& header, std::int64_t key) {
                    return header.sequence >= static_cast<std::uint64_t>(key);
                  },
                  static_cast<std::int64_t>(sequence.value));
}

Result<> LogReader::State::seek_time(std::int64_t time_ns) {
  // Strictly before: records with the very time asked for may lie in front of a block that begins with it.
  return seek_key([time_ns](const FrameHeader& header) { return header.time_ns < time_ns; },
                  [](const FrameHeader& header, std::int64_t key) { return header.time_ns >= key; }, time_ns);
}

bool LogReader::State::give_back(std::uint64_t at, LogItem& item) {
  cursor_->return_to(at);
  FrameView frame;
  const FrameStatus status = cursor_->next(limit(), frame);
  cursor_->return_to(at);  // next() gives the same item again
  if (status != FrameStatus::valid) return false;
  item.position = LogPosition::of(index_, at);
  item.next = LogPosition::of(index_, frame.end());
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
