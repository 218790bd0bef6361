// The jumps of a LogReader: to the ends, to a position, by sequence or time, and backwards.
#include <algorithm>

#include "segment/log_reader_state.hpp"

namespace fastlogd::segment {

void LogReader::State::seek_oldest() {
  cursor_.reset();
  behind_.clear();
  placed_ = false;
  expected_ = {};
}

bool LogReader::State::open_quietly(std::uint64_t index) {
  auto opened = SegmentCursor::open(*files_, directory_, index, access_);
  if (!opened) return false;
  FrameView open;
  if (!opened->peek_block(0, opened->end_offset(), open)) return false;  // prepared, never used
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
    return;
  }
}

Result<> LogReader::State::seek(LogPosition position) {
  seek_oldest();
  auto opened = SegmentCursor::open(*files_, directory_, position.segment(), access_);
  if (!opened) {
    if (opened.error().code != std::errc::no_such_file_or_directory) return opened.error();
    go_to(position.segment());  // next() will say what is missing
    expected_ = {};
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
  if (indices->empty() || !open_quietly((*indices)[low])) {
    seek_oldest();
    return {};
  }
  std::uint64_t first = 0;
  std::uint64_t last = cursor_->last_block(limit()) / kBlockBytes + 1;
  while (last - first > 1) {
    const std::uint64_t middle = first + (last - first) / 2;
    (cursor_->peek_block(middle * kBlockBytes, limit(), frame) && before(frame.header) ? first : last) =
        middle;
  }
  if (auto done = cursor_->seek_block(first * kBlockBytes); !done) return done;
  LogItem item;
  while (next(item) == ReadStatus::item) {
    if (item.kind != LogItem::Kind::record) continue;
    const FrameHeader found{.sequence = item.record.sequence.value, .time_ns = item.record.receive_time_ns};
    if (!reached(found, key)) continue;
    cursor_->return_to(item.position.offset());
    expected_ = item.record.sequence;
    break;
  }
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

ReadStatus LogReader::State::previous(LogItem& item) {
  if (!cursor_) seek_end();
  while (cursor_) {
    while (!behind_.empty()) {
      const std::uint64_t at = behind_.back();
      behind_.pop_back();
      cursor_->return_to(at);
      FrameView frame;
      if (cursor_->next(limit(), frame) != FrameStatus::valid) continue;
      expected_ = {};
      const Step step = take(frame, item);
      cursor_->return_to(at);
      if (step == Step::item) return ReadStatus::item;
    }
    const std::uint64_t end = cursor_->offset();
    if (end > kHeaderBytes) {
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
    auto indices = readable_segments();
    if (!indices) return ReadStatus::failed;
    auto it = std::lower_bound(indices->begin(), indices->end(), index_);
    bool opened = false;
    while (!opened && it != indices->begin()) opened = open_quietly(*--it);
    if (!opened) return ReadStatus::caught_up;
    cursor_->return_to(std::min(limit(), cursor_->end_offset()));
    if (!cursor_->trailer()) {  // its end is not written down: begin at the last used block's end
      cursor_->return_to(std::min(next_block(cursor_->last_block(limit())), limit()));
    }
  }
  return ReadStatus::caught_up;
}

}  // namespace fastlogd::segment
