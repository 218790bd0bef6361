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

/// A segment whose header is good, and what recovery found out about it.
struct Found {
  OpenedSegment
      file;  ///< its descriptor is closed again: a log may have more segments than we may have files
  std::uint64_t disk_bytes = 0;
  OpenPayload open{};
  bool sealed = false;
  UnsealedScan scan;  ///< of an unsealed one
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
  void collect_known_gaps(SegmentCursor& cursor);
  void find_durable();
  Result<> close_unsealed();
  Result<> close_one(Found& found);
  Result<> save_torn(const Found& found, int fd);
  void find_gaps();
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
      if (opened.error().code != std::errc::invalid_argument &&
          opened.error().code != std::errc::too_many_symbolic_link_levels) {
        return opened.error();
      }
      if (auto done = set_aside(segment_name(index), opened.error().context); !done) return done;
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
  FrameView frame;
  if (found.file.trailer) {
    const FileTrailer& trailer = *found.file.trailer;
    found.sealed = true;
    found.first_sequence = trailer.first_sequence;
    found.last_sequence = trailer.last_sequence;
    found.end_offset = trailer.end_offset;
    collect_known_gaps(*cursor);
  } else {
    found.scan = scan_unsealed(files_, *cursor);
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
  }
  if (cursor->peek_block(0, frames_end(header.segment_bytes), frame) &&
      frame.header.type == FrameType::open) {
    if (const auto open = decode_open(frame.payload)) found.open = *open;
  }
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

Result<> Recovery::close_one(Found& found) {
  const FileHeader& header = found.file.header;
  const std::string name = segment_name(header.index);
  auto fd = files_.open(directory_ + "/" + name, O_RDWR | O_NOFOLLOW, 0);
  if (!fd) return fd.error();
  const bool damaged =
      LogPosition::of(header.index, found.scan.valid_end) < durable_ && durable_.segment() == header.index;
  if (damaged) {
    note(name,
         fmt::format("acknowledged data is damaged from offset {} on (durable up to {}); every byte is kept",
                     found.scan.valid_end, durable_.offset()),
         true);
    report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged});
  } else if (found.scan.torn_bytes > 0) {
    if (auto done = save_torn(found, fd->get()); !done) return done;
  }
  const FileTrailer trailer =
      found.scan.trailer(header.segment_uuid, damaged ? TrailerState::damaged : TrailerState::recovered);
  found.file.trailer = trailer;
  return seal_segment(files_, fd->get(), header, trailer);
}

/// Keeps a copy of the torn tail beside the segment, then zeroes it: a stale frame must not come back to
/// life.
Result<> Recovery::save_torn(const Found& found, int fd) {
  const std::string name = segment_name(found.file.header.index);
  const std::uint64_t start = found.scan.valid_end;
  const std::string aside = fmt::format("{}/{}.torn-{}", directory_, name, report_.epoch);
  auto copy = files_.open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0440);
  if (!copy) return copy.error();
  std::vector<std::byte> buffer(kBlockBytes);
  const std::vector<std::byte> zeros(kBlockBytes);
  for (std::uint64_t done = 0; done < found.scan.torn_bytes; done += buffer.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(buffer.size(), found.scan.torn_bytes - done);
    if (const auto got = files_.read_at(fd, std::span(buffer).first(n), start + done)) {
      if (auto put = files_.write_at(copy->get(), std::span(buffer).first(*got), done); !put) return put;
    }
  }
  if (auto done = files_.sync_data(copy->get()); !done) return done;
  for (std::uint64_t done = 0; done < found.scan.torn_bytes; done += zeros.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(zeros.size(), found.scan.torn_bytes - done);
    if (auto put = files_.write_at(fd, std::span(zeros).first(n), start + done); !put) return put;
  }
  note(name,
       fmt::format("cut a torn tail of {} bytes at offset {}, kept as {}", found.scan.torn_bytes, start,
                   aside),
       false);
  return {};
}

bool Recovery::is_known_gap(std::uint64_t first, std::uint64_t last) const {
  return std::any_of(known_gaps_.begin(), known_gaps_.end(),
                     [&](const Gap& gap) { return gap.first.value <= first && gap.last.value >= last; });
}

void Recovery::find_gaps() {
  std::optional<std::uint64_t> due;
  std::uint64_t last_index = 0;
  for (const auto& [index, found] : segments_) {
    if (due && found.first_sequence > *due && !is_known_gap(*due, found.first_sequence - 1)) {
      note(segment_name(index),
           fmt::format("records {} to {} are missing before it{}", *due, found.first_sequence - 1,
                       index != last_index + 1 ? " (a segment is missing)" : ""),
           true);
      report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged,
                                 .count = found.first_sequence - *due,
                                 .first = Sequence{*due},
                                 .last = Sequence{found.first_sequence - 1}});
    }
    due = std::max(due.value_or(1), found.last_sequence + 1);
    last_index = index;
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
