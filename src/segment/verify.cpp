#include "segment/verify.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "segment/control_file.hpp"
#include "segment/index_check.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/segment_file.hpp"
#include "segment/told_end.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kScanBytes = 64 * limits::kKiB;

struct Jump {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

class Verifier {
 public:
  Verifier(FileSystem& files, const std::string& directory, const VerifyProgress& progress)
      : files_(files), directory_(directory), progress_(progress), control_(ControlReader::open(directory)) {}

  Result<VerifyReport> run();

 private:
  void check_segment(std::uint64_t index, bool last);
  [[nodiscard]] std::uint64_t last_in_use() const;
  [[nodiscard]] std::optional<std::uint64_t> end_by_next(SegmentCursor& cursor) const;
  void check_frames(SegmentCursor& cursor, const std::string& name, std::uint64_t limit, bool last);
  void check_frame_content(const FrameView& frame, const std::string& name, SegmentCursor& cursor);
  void check_record(const FrameView& frame, const std::string& name, SegmentCursor& cursor);
  void check_gap(const FrameView& frame, const std::string& name);
  void check_sequence(const FrameView& frame, const std::string& name);
  void check_chain(const FrameView& frame, const std::string& name);
  void check_trailer(const SegmentCursor& cursor, const std::string& name, std::uint64_t records);
  void check_zero(const SegmentCursor& cursor, const std::string& name, std::uint64_t from, std::uint64_t to,
                  const char* what);
  void find_unaccounted();
  void add(Finding::Kind kind, const std::string& file, std::uint64_t offset, std::string text) {
    report_.findings.push_back({kind, file, offset, std::move(text)});
  }
  void advance(std::uint64_t bytes) {
    report_.bytes += bytes;
    if (progress_) progress_(report_.bytes, std::max(all_bytes_, report_.bytes));
  }

  FileSystem& files_;
  const std::string& directory_;
  const VerifyProgress& progress_;
  std::optional<ControlReader> control_;
  VerifyReport report_;
  std::uint64_t all_bytes_ = 0;
  std::vector<std::uint64_t> indices_;
  std::optional<std::uint64_t> due_;
  std::vector<Jump> jumps_;
  std::vector<Gap> gaps_;
  std::optional<FileHeader> previous_;
  std::uint64_t previous_end_ = 0;
  std::set<std::uint32_t> known_sources_;
  IndexCheck index_check_;
  std::int64_t record_time_max_ = 0;   ///< of all records since then
  std::uint64_t times_went_back_ = 0;  ///< segment that last began before that
  std::int64_t last_time_ = 0;
};

Result<VerifyReport> Verifier::run() {
  auto indices = list_segments(files_, directory_);
  if (!indices) return indices.error();
  if (control_) {
    const std::uint64_t active = control_->committed().segment();
    std::erase_if(*indices, [active](std::uint64_t index) { return index > active; });
  }
  indices_ = std::move(*indices);
  for (const std::uint64_t index : indices_) {
    if (const auto info = files_.status(segment_path(directory_, index))) {
      all_bytes_ += static_cast<std::uint64_t>(info->st_size);
    }
  }
  const std::uint64_t last = last_in_use();
  for (const std::uint64_t index : indices_) check_segment(index, index >= last);
  find_unaccounted();
  return std::move(report_);
}

/// Behind it lie at most those that were prepared ahead, which a daemon that was killed has left.
std::uint64_t Verifier::last_in_use() const {
  for (auto index = indices_.rbegin(); index != indices_.rend(); ++index) {
    auto cursor = SegmentCursor::open(files_, directory_, *index, Access::pread);
    if (cursor && cursor->first_sequence()) return *index;
  }
  return 0;
}

/// Where an unsealed segment that is not active ends, by the next one's OPEN. Only one that took no more stores has no
/// SEAL there; if not even its OPEN was published the next one follows the segment before.
std::optional<std::uint64_t> Verifier::end_by_next(SegmentCursor& cursor) const {
  const auto next = open_behind(files_, directory_, indices_, cursor.index());
  if (!next || !*next) return std::nullopt;
  const OpenPayload& open = **next;
  if (open.previous_uuid == cursor.header().segment_uuid) return open.previous_end_offset;
  FrameView frame;
  cursor.return_to(kHeaderBytes);
  const FrameStatus first = cursor.next(kBlockBytes, frame);
  const bool skipped = !previous_ || open.previous_uuid == previous_->segment_uuid;
  if (first == FrameStatus::unpublished && skipped) return kHeaderBytes;
  const bool opens = first == FrameStatus::valid && frame.header.type == FrameType::open;
  return told_end(cursor.header(), opens ? decode_open(frame.payload) : std::nullopt, open);
}

void Verifier::check_segment(std::uint64_t index, bool last) {
  const std::string name = segment_name(index);
  auto cursor = SegmentCursor::open(files_, directory_, index, Access::pread);
  if (!cursor) {
    // Retention may remove a file while we walk: that is no damage.
    if (cursor.error().code == std::errc::no_such_file_or_directory) return;
    add(Finding::Kind::damage, name, 0, cursor.error().message());
    return;
  }
  ++report_.segments;
  known_sources_.clear();
  index_check_.begin_segment();
  last_time_ = 0;
  const std::uint64_t area_end = frames_end(cursor->header().segment_bytes);
  std::uint64_t limit = area_end;
  const LogPosition committed = control_ ? control_->committed() : LogPosition{};  // once: it moves
  const bool active = control_ && index == committed.segment();
  if (active) {
    limit = committed.offset();
  } else if (!cursor->trailer()) {
    limit = std::min(end_by_next(*cursor).value_or(area_end), area_end);
  }
  check_zero(*cursor, name, sizeof(FileHeader), kHeaderBytes - 4, "header page");
  const std::uint64_t records_before = report_.records;
  check_frames(*cursor, name, limit, last);
  if (cursor->trailer()) check_trailer(*cursor, name, report_.records - records_before);
  if (!active && !(cursor->trailer() && cursor->trailer()->state == TrailerState::damaged)) {
    check_zero(*cursor, name, cursor->offset(), area_end, "unpublished space");
  }
  if (!cursor->trailer() && !active) cursor->refresh();  // sealed meanwhile?
  if (!cursor->trailer() && !active) {
    check_zero(*cursor, name, area_end, cursor->header().segment_bytes, "trailer page");
  }
  if (std::min(limit, cursor->end_offset()) > kHeaderBytes) {  // else the next one does not follow it
    previous_ = cursor->header();
    previous_end_ = cursor->offset();
  }
  advance(cursor->header().segment_bytes - std::min(area_end, cursor->offset()));
}

void Verifier::check_frames(SegmentCursor& cursor, const std::string& name, std::uint64_t limit, bool last) {
  FrameView frame;
  cursor.return_to(kHeaderBytes);
  std::uint64_t told = 0;
  for (;;) {
    const FrameStatus status = cursor.next(limit, frame);
    if (status == FrameStatus::valid) {
      ++report_.frames;
      check_frame_content(frame, name, cursor);
      check_zero(cursor, name, cursor.offset(), skip_block_rest(cursor.offset()), "rest of a block");
      if (cursor.offset() - told > kBlockBytes) {
        advance(cursor.offset() - told);
        told = cursor.offset();
      }
      if (frame.header.type == FrameType::seal) break;
      continue;
    }
    const std::uint64_t end = std::min(limit, cursor.end_offset());
    if (skip_block_rest(cursor.offset()) >= end) break;
    if (status == FrameStatus::unpublished && !cursor.trailer() && last)
      break;  // a crash; recovery comes with the next start
    const std::string why = cursor.error().code ? cursor.error().message() : "no valid frame";
    add(Finding::Kind::damage, name, cursor.offset(), why + "; going on at the next multiple of 1 MiB");
    const std::uint64_t resume = next_block(cursor.offset());
    index_check_.saw_damage(cursor.offset(), resume);
    if (resume >= end || !cursor.seek_block(resume)) break;
  }
  advance(cursor.offset() - told);
}

void Verifier::check_frame_content(const FrameView& frame, const std::string& name, SegmentCursor& cursor) {
  if (frame.header.time_ns < last_time_ && frame.header.type != FrameType::pad) {
    add(Finding::Kind::damage, name, frame.offset, "receive time goes back within the segment");
  }
  last_time_ = std::max(last_time_, frame.header.time_ns);
  switch (frame.header.type) {
    case FrameType::data:
      index_check_.saw_record(frame);
      record_time_max_ = std::max(record_time_max_, frame.header.time_ns);
      check_record(frame, name, cursor);
      break;
    case FrameType::source:
      index_check_.saw_source(frame);
      known_sources_.insert(frame.header.source);
      break;
    case FrameType::index:
      if (std::string wrong = index_check_.check(frame); !wrong.empty())
        add(Finding::Kind::damage, name, frame.offset, std::move(wrong));
      break;
    case FrameType::gap:
      check_gap(frame, name);
      break;
    case FrameType::open:
      if (frame.header.time_ns < record_time_max_) {
        times_went_back_ = cursor.index();
        record_time_max_ = 0;
      }
      check_chain(frame, name);
      break;
    case FrameType::pad:
      check_zero(cursor, name, frame.offset + kFrameHeaderBytes, frame.end(), "padding");
      break;
    default:
      break;
  }
}

void Verifier::check_record(const FrameView& frame, const std::string& name, SegmentCursor& cursor) {
  RecordView record;
  if (!cursor.record_of(frame, record)) {
    add(Finding::Kind::damage, name, frame.offset, "record contradicts itself");
  }
  if (!known_sources_.contains(frame.header.source)) {
    add(Finding::Kind::damage, name, frame.offset,
        fmt::format("source {} is not defined", frame.header.source));
  }
  check_sequence(frame, name);
}

void Verifier::check_gap(const FrameView& frame, const std::string& name) {
  const auto gap = decode_gap(frame.payload);
  if (!gap) {
    add(Finding::Kind::damage, name, frame.offset, "GAP frame contradicts itself");
    return;
  }
  ++report_.gaps;
  report_.reported_lost += gap->count;
  gaps_.push_back(*gap);
  if (gap->numbered() && due_ && gap->first.value <= *due_) due_ = std::max(*due_, gap->last.value + 1);
}

void Verifier::check_sequence(const FrameView& frame, const std::string& name) {
  const std::uint64_t sequence = frame.header.sequence;
  if (due_ && sequence < *due_) {
    add(Finding::Kind::damage, name, frame.offset,
        fmt::format("record {} comes after {}", sequence, *due_ - 1));
  }
  if (due_ && sequence > *due_) jumps_.push_back({name, frame.offset, *due_, sequence - 1});
  due_ = sequence + 1;
  ++report_.records;
  if (report_.first_sequence == 0) report_.first_sequence = sequence;
  report_.last_sequence = sequence;
}

void Verifier::check_chain(const FrameView& frame, const std::string& name) {
  const auto open = decode_open(frame.payload);
  if (!open) {
    add(Finding::Kind::damage, name, frame.offset, "OPEN frame contradicts itself");
    return;
  }
  if (!previous_) return;
  if (open->previous_uuid != previous_->segment_uuid) {
    add(Finding::Kind::note, name, frame.offset,
        "follows segment " + to_string(open->previous_uuid) + ", which is not the file before it");
    return;
  }
  if (open->previous_end_offset != previous_end_) {
    add(Finding::Kind::note, name, frame.offset,
        fmt::format("says the segment before ended at {}, it ends at {}", open->previous_end_offset,
                    previous_end_));
  }
}

void Verifier::check_trailer(const SegmentCursor& cursor, const std::string& name, std::uint64_t records) {
  const FileTrailer& trailer = *cursor.trailer();
  const std::uint64_t at = frames_end(cursor.header().segment_bytes);
  if (trailer.state == TrailerState::damaged) {
    add(Finding::Kind::damage, name, trailer.end_offset,
        "recovery found acknowledged data damaged from here on");
  }
  if (records != trailer.record_count) {
    add(Finding::Kind::damage, name, at,
        fmt::format("holds {} records, its trailer says {}", records, trailer.record_count));
  }
  if (!index_check_.is_last(trailer.last_index_offset)) {
    add(Finding::Kind::damage, name, at,
        fmt::format("its last INDEX frame is not at {}, as its trailer says", trailer.last_index_offset));
  }
  if (trailer.ordered_since != 0 && trailer.ordered_since < times_went_back_) {
    add(Finding::Kind::damage, name, at,
        fmt::format("its trailer says that times are in order since segment {}, they go back in {}",
                    trailer.ordered_since, times_went_back_));
  }
  check_zero(cursor, name, at + sizeof(FileTrailer), at + kTrailerBytes - 4, "trailer page");
}

void Verifier::check_zero(const SegmentCursor& cursor, const std::string& name, std::uint64_t from,
                          std::uint64_t to, const char* what) {
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kScanBytes, to > from ? to - from : 0));
  // What the file system knows to be a hole reads as zeros.
  for (std::uint64_t at = files_.next_data(cursor.fd(), from); at < to;
       at = files_.next_data(cursor.fd(), at + buffer.size())) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), to - at));
    const auto got = files_.read_at(cursor.fd(), part, at);
    if (!got || !all_zero(part.first(*got))) {
      add(Finding::Kind::damage, name, at, fmt::format("{} is not zero", what));
      return;
    }
  }
}

void Verifier::find_unaccounted() {
  for (const Jump& jump : jumps_) {
    // GAPs may tell of a jump piecewise and later: strike out what they name.
    std::uint64_t due = jump.first;
    bool moved = true;
    while (moved && due <= jump.last) {
      moved = false;
      for (const Gap& gap : gaps_) {
        if (gap.numbered() && gap.first.value <= due && gap.last.value >= due) {
          due = gap.last.value + 1;
          moved = true;
        }
      }
    }
    if (due <= jump.last) {
      add(Finding::Kind::unaccounted_gap, jump.file, jump.offset,
          fmt::format("records {} to {} are missing and no GAP says why", due, jump.last));
    }
  }
}

}  // namespace

bool VerifyReport::damaged() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.kind == Finding::Kind::damage; });
}

bool VerifyReport::has_unaccounted_gap() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.kind == Finding::Kind::unaccounted_gap; });
}

Result<VerifyReport> verify_directory(const std::string& directory, const VerifyProgress& progress,
                                      FileSystem& files) {
  return Verifier(files, directory, progress).run();
}

}  // namespace fastlogd::segment
