#include "segment/recovery.hpp"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "segment/payloads.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/segment_file.hpp"
#include "segment/unsealed_scan.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kCopyBytes = 64 * limits::kKiB;
constexpr mode_t kWritableMode = 0640;

/// A segment whose header is good, and what recovery found out about it.
struct Found {
  OpenedSegment
      file;  ///< its descriptor is closed again: a log may have more segments than we may have files
  std::uint64_t disk_bytes = 0;
  OpenPayload open{};
  bool sealed = false;
  UnsealedScan scan;     ///< of an unsealed one
  bool damaged = false;  ///< ends before what was durable, or before a torn tail that could not be moved
  std::uint64_t first_sequence = 1;
  std::uint64_t last_sequence = 0;
  std::uint64_t end_offset = 0;
};

class Recovery {
 public:
  Recovery(FileSystem& files, const std::string& directory, const std::optional<Uuid>& known_log)
      : files_(files), directory_(directory), known_log_(known_log) {}

  Result<RecoveryReport> run() {
    if (auto done = remove_temporaries(); !done) return done.error();
    if (auto done = open_all(); !done) return done.error();
    if (auto done = examine_all(); !done) return done.error();
    find_durable();
    if (auto done = close_unsealed(); !done) return done.error();
    find_gaps();
    summarize();
    return std::move(report_);
  }

 private:
  void note(const std::string& file, std::string text, bool damage) {
    report_.notes.push_back({file, std::move(text), damage});
  }

  Result<> remove_temporaries();
  Result<> open_all();
  Result<> examine_all();
  Result<bool> examine(Found& found);
  void examine_sealed(Found& found, SegmentCursor& cursor);
  Result<bool> examine_unsealed(Found& found, SegmentCursor& cursor);
  void collect_known_gaps(SegmentCursor& cursor);
  void find_durable();
  Result<> close_unsealed();
  Result<> close_one(Found& found);
  Result<UniqueFd> open_for_writing(const std::string& path);
  [[nodiscard]] bool ends_before_durable(const Found& found) const;
  Result<bool> save_torn(const Found& found, int fd);
  Result<std::string> copy_aside(const Found& found, int fd);
  void find_gaps();
  void add_gap(std::uint64_t index, std::uint64_t first, std::uint64_t last, const char* where);
  void summarize();
  Result<> set_aside(const std::string& name, const std::string& why);
  [[nodiscard]] bool is_known_gap(std::uint64_t first, std::uint64_t last) const;

  FileSystem& files_;
  const std::string& directory_;
  std::optional<Uuid> known_log_;
  RecoveryReport report_;
  std::map<std::uint64_t, Found> segments_;
  std::vector<Gap> known_gaps_;
  LogPosition durable_;
};

Result<> Recovery::remove_temporaries() {
  auto names = files_.list(directory_);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (name.ends_with(".flog.tmp")) {
      if (auto done = files_.unlink(directory_ + "/" + name); !done) return done;
    }
    // A file set aside keeps its number: a new segment must not take it.
    if (name.size() > 25 && name.compare(20, 5, ".flog") == 0) {
      if (const auto index = parse_segment_name(name.substr(0, 25))) {
        report_.next_index = std::max(report_.next_index, *index + 1);
      }
    }
  }
  return {};
}

Result<> Recovery::set_aside(const std::string& name, const std::string& why) {
  const std::string from = directory_ + "/" + name;
  std::string to = from + ".damaged";
  for (int i = 1; files_.status(to).has_value(); ++i) to = fmt::format("{}.damaged-{}", from, i);
  if (auto done = files_.rename(from, to); !done) return done;
  note(name, fmt::format("set aside as {}: {}", to, why), true);
  report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged});
  return files_.sync_directory(directory_);
}

Result<> Recovery::open_all() {
  auto indices = list_segments(files_, directory_);
  if (!indices) return indices.error();
  std::map<Uuid, std::size_t> votes;
  for (const std::uint64_t index : *indices) {
    report_.next_index = std::max(report_.next_index, index + 1);
    auto opened = open_segment(files_, directory_, index);
    if (!opened) {
      if (!is_bad_segment(opened.error())) return opened.error();
      if (auto done = set_aside(segment_name(index), opened.error().message()); !done) return done;
      continue;
    }
    ++votes[opened->header.log_uuid];
    report_.epoch = std::max(report_.epoch, opened->header.epoch + 1);
    struct stat info{};
    if (::fstat(opened->fd.get(), &info) == 0)
      segments_[index].disk_bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
    opened->fd.reset();
    segments_[index].file = std::move(*opened);
  }
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  report_.log_uuid = known_log_ ? *known_log_ : most != votes.end() ? most->first : random_uuid();
  return {};
}

Result<> Recovery::examine_all() {
  for (auto it = segments_.begin(); it != segments_.end();) {
    auto keep = examine(it->second);
    if (!keep) return keep.error();
    it = *keep ? std::next(it) : segments_.erase(it);
  }
  return {};
}

/// Fills in what is known of one segment; false if it is no part of the log (and has been dealt with).
Result<bool> Recovery::examine(Found& found) {
  const FileHeader& header = found.file.header;
  const std::string name = segment_name(header.index);
  if (header.log_uuid != report_.log_uuid) {
    if (auto done = set_aside(name, "it belongs to another log, " + to_string(header.log_uuid)); !done)
      return done.error();
    return false;
  }
  auto cursor = SegmentCursor::open(files_, directory_, header.index, Access::pread);
  if (!cursor) return cursor.error();
  if (found.file.trailer) {
    examine_sealed(found, *cursor);
  } else if (auto keep = examine_unsealed(found, *cursor); !keep || !*keep) {
    return keep;
  }
  FrameView frame;
  if (cursor->peek_block(0, frames_end(header.segment_bytes), frame) &&
      frame.header.type == FrameType::open) {
    if (const auto open = decode_open(frame.payload)) found.open = *open;
  }
  return true;
}

void Recovery::examine_sealed(Found& found, SegmentCursor& cursor) {
  const FileTrailer& trailer = *found.file.trailer;
  found.sealed = true;
  found.first_sequence = trailer.first_sequence;
  found.last_sequence = trailer.last_sequence;
  found.end_offset = trailer.end_offset;
  found.damaged = trailer.state == TrailerState::damaged;
  if (found.damaged) found.scan.told_sequence = look_behind(cursor, trailer.end_offset).told_sequence;
  collect_known_gaps(cursor);
}

Result<bool> Recovery::examine_unsealed(Found& found, SegmentCursor& cursor) {
  const std::string name = segment_name(found.file.header.index);
  found.scan = scan_unsealed(files_, cursor);
  if (found.scan.unused) {
    if (auto done = files_.unlink(directory_ + "/" + name); !done) return done.error();
    return false;
  }
  if (found.scan.no_open) {
    if (auto done = set_aside(name, "its first frame is damaged"); !done) return done.error();
    return false;
  }
  found.first_sequence = found.scan.first_sequence;
  found.last_sequence = found.scan.last_sequence;
  found.end_offset = found.scan.valid_end;
  known_gaps_.insert(known_gaps_.end(), found.scan.gaps.begin(), found.scan.gaps.end());
  return true;
}

/// A start writes the gaps it finds right behind its OPEN: only these need to be read of a sealed segment.
void Recovery::collect_known_gaps(SegmentCursor& cursor) {
  FrameView frame;
  while (cursor.next(kBlockBytes, frame) == FrameStatus::valid) {
    if (frame.header.type == FrameType::data) return;
    if (frame.header.type != FrameType::gap) continue;
    if (const auto gap = decode_gap(frame.payload); gap && gap->numbered()) known_gaps_.push_back(*gap);
  }
}

void Recovery::find_durable() {
  for (const auto& [index, found] : segments_) {
    if (!found.sealed) durable_ = std::max(durable_, found.scan.durable);
    durable_ = std::max(durable_, LogPosition{found.open.durable_position});
  }
}

Result<> Recovery::close_unsealed() {
  for (auto& [index, found] : segments_) {
    if (found.sealed) continue;
    if (auto done = close_one(found); !done) return done;
  }
  return {};
}

/// A sealed segment is read-only; if its trailer is damaged it has to be written again.
Result<UniqueFd> Recovery::open_for_writing(const std::string& path) {
  auto fd = files_.open(path, O_RDWR | O_NOFOLLOW, 0);
  if (fd || fd.error().code != std::errc::permission_denied) return fd;
  auto readable = files_.open(path, O_RDONLY | O_NOFOLLOW, 0);
  if (!readable) return fd;
  if (auto done = files_.set_mode(readable->get(), kWritableMode); !done) return done.error();
  return files_.open(path, O_RDWR | O_NOFOLLOW, 0);
}

/// E < R, unless E is where the segment really ended: at a SEAL, or where the next one says so.
bool Recovery::ends_before_durable(const Found& found) const {
  const FileHeader& header = found.file.header;
  if (found.scan.complete || LogPosition::of(header.index, found.end_offset) >= durable_) return false;
  const auto next = segments_.upper_bound(header.index);
  return next == segments_.end() || next->second.open.previous_uuid != header.segment_uuid ||
         next->second.open.previous_end_offset != found.end_offset;
}

Result<> Recovery::close_one(Found& found) {
  const FileHeader& header = found.file.header;
  const std::string name = segment_name(header.index);
  auto fd = open_for_writing(directory_ + "/" + name);
  if (!fd) return fd.error();
  found.damaged = ends_before_durable(found);
  if (found.damaged) {
    note(name,
         fmt::format("acknowledged data is damaged from offset {} on (durable up to segment {}, offset {}); "
                     "every byte is kept",
                     found.scan.valid_end, durable_.segment(), durable_.offset()),
         true);
    report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged});
  } else if (found.scan.torn_bytes > 0) {
    auto saved = save_torn(found, fd->get());
    if (!saved) return saved.error();
    found.damaged = !*saved;
  }
  const FileTrailer trailer = found.scan.trailer(
      header.segment_uuid, found.damaged ? TrailerState::damaged : TrailerState::recovered);
  found.file.trailer = trailer;
  return seal_segment(files_, fd->get(), header, trailer);
}

/// Keeps a copy of the torn tail beside the segment, then zeroes it: a stale frame must not come back to
/// life. False: there is no space for the copy, and the tail stays where it is.
Result<bool> Recovery::save_torn(const Found& found, int fd) {
  const std::string name = segment_name(found.file.header.index);
  const std::uint64_t start = found.scan.valid_end;
  const auto aside = copy_aside(found, fd);
  if (!aside) {
    if (aside.error().code != std::errc::no_space_on_device) return aside.error();
    note(name,
         fmt::format("a torn tail of {} bytes at offset {} stays in it: no space to save it aside",
                     found.scan.torn_bytes, start),
         false);
    return false;
  }
  const std::vector<std::byte> zeros(kCopyBytes);
  for (std::uint64_t done = 0; done < found.scan.torn_bytes; done += zeros.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(zeros.size(), found.scan.torn_bytes - done);
    if (auto put = files_.write_at(fd, std::span(zeros).first(n), start + done); !put) return put.error();
  }
  note(name,
       fmt::format("cut a torn tail of {} bytes at offset {}, kept as {}", found.scan.torn_bytes, start,
                   *aside),
       false);
  return true;
}

/// Under a name of its own: a recovery that died while zeroing has left the complete copy, this is the rest.
Result<std::string> Recovery::copy_aside(const Found& found, int fd) {
  const std::string stem =
      fmt::format("{}/{}.torn-{}", directory_, segment_name(found.file.header.index), report_.epoch);
  std::string path = stem;
  for (int i = 1; files_.status(path).has_value(); ++i) path = fmt::format("{}-{}", stem, i);
  auto copy = files_.open(path, O_WRONLY | O_CREAT | O_EXCL, 0440);
  if (!copy) return copy.error();
  std::vector<std::byte> buffer(kCopyBytes);
  Result<> put;
  for (std::uint64_t done = 0; done < found.scan.torn_bytes && put; done += buffer.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(buffer.size(), found.scan.torn_bytes - done);
    const auto got = files_.read_at(fd, std::span(buffer).first(n), found.scan.valid_end + done);
    if (got) put = files_.write_at(copy->get(), std::span(buffer).first(*got), done);  // else a bad sector
  }
  if (put) put = files_.sync_data(copy->get());
  if (!put) {
    (void)files_.unlink(path);
    return put.error();
  }
  return path;
}

/// Several GAP frames may tell of it piecewise.
bool Recovery::is_known_gap(std::uint64_t first, std::uint64_t last) const {
  for (std::uint64_t due = first; due <= last;) {
    const auto gap = std::find_if(known_gaps_.begin(), known_gaps_.end(), [due](const Gap& known) {
      return known.first.value <= due && known.last.value >= due;
    });
    if (gap == known_gaps_.end()) return false;
    due = gap->last.value + 1;
  }
  return true;
}

void Recovery::add_gap(std::uint64_t index, std::uint64_t first, std::uint64_t last, const char* where) {
  note(segment_name(index), fmt::format("records {} to {} are missing {}", first, last, where), true);
  report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged,
                             .count = last - first + 1,
                             .first = Sequence{first},
                             .last = Sequence{last}});
}

void Recovery::find_gaps() {
  std::optional<std::uint64_t> due;
  std::uint64_t last_index = 0;
  for (const auto& [index, found] : segments_) {
    if (due && found.first_sequence > *due && !is_known_gap(*due, found.first_sequence - 1)) {
      add_gap(index, *due, found.first_sequence - 1,
              index != last_index + 1 ? "before it (a segment is missing)" : "before it");
    }
    due = std::max(due.value_or(1), found.last_sequence + 1);
    last_index = index;
  }
  // Numbers that readers may have seen are not given out again.
  if (due && segments_.rbegin()->second.damaged) {
    const std::uint64_t told = segments_.rbegin()->second.scan.told_sequence;
    if (told >= *due) {
      add_gap(last_index, *due, told, "at its end");
      due = told + 1;
    }
  }
  report_.next_sequence = due.value_or(1);
}

void Recovery::summarize() {
  report_.oldest =
      LogPosition::of(segments_.empty() ? report_.next_index : segments_.begin()->first, kHeaderBytes);
  for (const auto& [index, found] : segments_) {
    const std::int64_t last_time = found.file.trailer ? found.file.trailer->time_max_ns : 0;
    report_.segments.push_back({.index = index,
                                .disk_bytes = found.disk_bytes,
                                .last_time_ns = last_time != 0 ? last_time : found.file.header.created_ns});
    report_.previous_uuid = found.file.header.segment_uuid;
    report_.previous_end_offset = found.end_offset;
  }
}

}  // namespace

Result<RecoveryReport> recover(FileSystem& files, const std::string& directory,
                               const std::optional<Uuid>& known_log) {
  return Recovery(files, directory, known_log).run();
}

}  // namespace fastlogd::segment
