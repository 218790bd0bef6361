#include "segment/recovery_plan.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "segment/frames_behind.hpp"
#include "segment/index_entries.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kNameBytes = 25;  // of "<20-digit index>.flog"
constexpr std::uint16_t kMinorWithNumbers = 2;
// What a clean stop ends with is shorter: NUMBERS of all clients, INDEX, SEAL, and perhaps the beginning of a block.
constexpr std::uint64_t kClientsTail =
    ClientNumbers::kClientsMax * (kFrameHeaderBytes + sizeof(NumbersPayload)) + 2 * kIndexFrameBytesMax +
    limits::kPageBytes;
constexpr std::size_t kTailReadBytes = 32 * limits::kKiB;
constexpr std::uint64_t kNumbersToSpare = 1 << 20;

/// A frame before the last kClientsTail bytes, and not far: of the last INDEX, or else the start of a block.
std::uint64_t near_the_end(SegmentCursor& cursor, const FileTrailer& trailer) {
  const std::uint64_t end = cursor.end_offset();
  if (end <= kHeaderBytes + kClientsTail) return kHeaderBytes;
  std::uint64_t near = std::max(kHeaderBytes, (end - kClientsTail) / kBlockBytes * kBlockBytes);
  FrameView frame;
  if (trailer.last_index_offset < kHeaderBytes || trailer.last_index_offset % 8 != 0 ||
      cursor.frame_at(trailer.last_index_offset, end, frame) != FrameStatus::valid ||
      frame.header.type != FrameType::index) {
    return near;
  }
  const auto index = decode_index(frame.payload, frame.offset);
  if (!index) return near;
  for (const IndexEntry& entry : index->entries) {
    if (entry.offset <= end - kClientsTail) near = std::max(near, entry.offset);
  }
  return cursor.frame_at(near, end, frame) == FrameStatus::valid ? near : kHeaderBytes;
}

/// From where the cursor stands to the end. True: an orderly end, which says all that is known of clients once more.
bool walk_numbers(SegmentCursor& cursor, NumbersScan& numbers) {
  bool closed = false;
  numbers = {};
  for (FrameView frame; cursor.next(cursor.end_offset(), frame) == FrameStatus::valid;) {
    numbers.take(frame);
    if (frame.header.type != FrameType::seal) continue;
    const auto seal = decode_seal(frame.payload);
    closed = seal && seal->next_index == 0 && numbers.said_last();
  }
  numbers.finish();
  return closed;
}

class Planner {
 public:
  Planner(FileSystem& files, const std::string& directory, const std::optional<Uuid>& known_log)
      : files_(files), known_log_(known_log) {
    plan_.directory = directory;
  }

  Result<RecoveryPlan> run() {
    if (auto done = look_at_names(); !done) return done.error();
    if (auto done = open_all(); !done) return done.error();
    // Newest first: where a segment ended that took no more stores, the next one says.
    for (auto file = plan_.files.rbegin(); file != plan_.files.rend(); ++file) {
      if (file->fate == Fate::set_aside) continue;
      if (auto done = examine(*file); !done) return done.error();
    }
    for (FilePlan& file : plan_.files) decide(file);
    if (auto done = look_behind_the_end(); !done) return done.error();
    find_clients();
    plan_.files.insert(plan_.files.end(), temporaries_.begin(), temporaries_.end());
    return std::move(plan_);
  }

 private:
  Result<> look_at_names();
  void take_number_of_bad(std::uint64_t index);
  struct WithHeader {
    UniqueFd fd;
    FileHeader header;
  };
  [[nodiscard]] std::optional<WithHeader> open_by_header(const std::string& name) const;
  void look_at_set_aside(const std::string& name, std::uint64_t index);
  Result<> open_all();
  Result<> examine(FilePlan& file);
  [[nodiscard]] const FilePlan* next_staying(const FilePlan& file) const;
  void examine_sealed(FilePlan& file, SegmentCursor& cursor);
  void examine_unsealed(FilePlan& file, SegmentCursor& cursor);
  void decide(FilePlan& file);
  [[nodiscard]] LogPosition expected_of(const FilePlan& file) const;
  [[nodiscard]] bool ends_before_durable(const FilePlan& file) const;
  Result<> look_behind_the_end();
  Result<> ask_damaged(FilePlan& file);
  [[nodiscard]] FramesBehind ask_set_aside(const std::string& name);
  void note_told(const std::string& name, const FramesBehind& behind);
  void find_clients();
  [[nodiscard]] NumbersScan numbers_of_sealed(const FilePlan& file) const;
  static void set_aside(FilePlan& file, std::string why) {
    file.fate = Fate::set_aside;
    file.why = std::move(why);
  }

  FileSystem& files_;
  const std::optional<Uuid>& known_log_;
  RecoveryPlan plan_;
  std::vector<FilePlan> temporaries_;
  std::map<std::string, std::uint64_t> set_aside_;  ///< by earlier starts: names, and the numbers in them
  std::map<Uuid, std::size_t> votes_of_set_aside_;
  TimeOrder order_;
};

Result<> Planner::look_at_names() {
  auto names = files_.list(plan_.directory);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (name.ends_with(".flog.tmp")) {
      temporaries_.push_back({.name = name, .fate = Fate::remove, .why = "it was being prepared"});
    }
    // A file set aside keeps its number: a new segment must not take it.
    if (name.size() <= kNameBytes) continue;
    const auto index = parse_segment_name(name.substr(0, kNameBytes));
    if (!index) continue;
    take_number_of_bad(*index);
    if (name.compare(kNameBytes, 8, ".damaged") == 0) look_at_set_aside(name, *index);
  }
  return {};
}

/// Its name is all that is known of it. One that says a number near the last of all would leave none for the log.
void Planner::take_number_of_bad(std::uint64_t index) {
  if (index <= kSegmentIndexMax - kNumbersToSpare) plan_.next_index = std::max(plan_.next_index, index + 1);
}

/// Whatever else is wrong with it.
std::optional<Planner::WithHeader> Planner::open_by_header(const std::string& name) const {
  auto fd = files_.open(plan_.directory + "/" + name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  Page page{};
  struct stat info{};
  if (!fd || ::fstat(fd->get(), &info) != 0 || !files_.read_at(fd->get(), page, 0)) return std::nullopt;
  const auto check = decode_header(page, static_cast<std::uint64_t>(info.st_size));
  if (!check.header) return std::nullopt;
  return WithHeader{.fd = std::move(*fd), .header = *check.header};
}

/// It is no part of the log any more, but the epoch of the run that wrote it was used.
void Planner::look_at_set_aside(const std::string& name, std::uint64_t index) {
  plan_.set_aside_index = std::max(plan_.set_aside_index, index);
  const auto file = open_by_header(name);
  if (!file) return;
  set_aside_.emplace(name, index);
  ++votes_of_set_aside_[file->header.log_uuid];
  if (!known_log_ || file->header.log_uuid == *known_log_)
    plan_.epoch = std::max(plan_.epoch, file->header.epoch + 1);
}

Result<> Planner::open_all() {
  auto indices = list_segments(files_, plan_.directory);
  if (!indices) return indices.error();
  std::map<Uuid, std::size_t> votes;
  for (const std::uint64_t index : *indices) {
    FilePlan& file = plan_.files.emplace_back();
    file.name = segment_name(index);
    file.index = index;
    auto opened = open_segment(files_, plan_.directory, index);
    if (!opened) {
      if (!is_bad_segment(opened.error())) return opened.error();
      set_aside(file, opened.error().message());
      take_number_of_bad(index);
      continue;
    }
    plan_.next_index = std::max(plan_.next_index, index + 1);
    ++votes[opened->header.log_uuid];
    plan_.epoch = std::max(plan_.epoch, opened->header.epoch + 1);
    struct stat info{};
    if (::fstat(opened->fd.get(), &info) == 0)
      file.disk_bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
    file.header = opened->header;
    if (opened->trailer) file.trailer = *opened->trailer;
    // The descriptor is closed again: a log may have more segments than we may have files.
  }
  if (votes.empty()) votes = votes_of_set_aside_;
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  plan_.log_uuid = known_log_ ? *known_log_ : most != votes.end() ? most->first : random_uuid();
  return {};
}

Result<> Planner::examine(FilePlan& file) {
  if (file.header.log_uuid != plan_.log_uuid) {
    set_aside(file, "it belongs to another log, " + to_string(file.header.log_uuid));
    return {};
  }
  auto cursor = SegmentCursor::open(files_, plan_.directory, file.index, Access::pread);
  if (!cursor) {
    if (!is_bad_segment(cursor.error())) return cursor.error();
    set_aside(file, cursor.error().message());
    return {};
  }
  if (cursor->trailer()) {
    examine_sealed(file, *cursor);
  } else {
    examine_unsealed(file, *cursor);
  }
  // R is the highest found anywhere, also behind a first frame that is damaged.
  plan_.durable = std::max({plan_.durable, file.scan.durable, LogPosition{file.open.durable_position}});
  return {};
}

/// Its trailer is believed. A start writes the gaps it finds right behind its OPEN: only these frames are read.
void Planner::examine_sealed(FilePlan& file, SegmentCursor& cursor) {
  cursor.read_ahead(limits::kPageBytes);
  file.trailer = *cursor.trailer();
  if (file.trailer.state == TrailerState::damaged)
    file.why = "acknowledged data in it was found damaged before";
  FrameView frame;
  while (cursor.next(kBlockBytes, frame) == FrameStatus::valid && frame.header.type != FrameType::data) {
    if (frame.header.type == FrameType::open) {
      if (const auto open = decode_open(frame.payload)) file.open = *open;
    } else if (frame.header.type == FrameType::gap) {
      const auto gap = decode_gap(frame.payload);
      if (gap && gap->numbered()) plan_.known_gaps.push_back(*gap);
    }
  }
}

/// The next one in use, once all behind `file` have been examined.
const FilePlan* Planner::next_staying(const FilePlan& file) const {
  const auto next = std::find_if(plan_.files.begin(), plan_.files.end(), [&](const FilePlan& other) {
    return other.index > file.index && other.stays();
  });
  return next != plan_.files.end() ? &*next : nullptr;
}

void Planner::examine_unsealed(FilePlan& file, SegmentCursor& cursor) {
  const FilePlan* next = next_staying(file);
  file.scan = scan_unsealed(files_, cursor, next != nullptr ? std::optional(next->open) : std::nullopt);
  if (file.scan.unused) {
    file.fate = Fate::remove;
    file.why = "it was prepared and nothing was published in it";
  } else if (file.scan.no_open) {
    set_aside(file, "its first frame is damaged");
  } else {
    file.fate = Fate::finish;
    file.open = file.scan.open;
    plan_.known_gaps.insert(plan_.known_gaps.end(), file.scan.gaps.begin(), file.scan.gaps.end());
  }
}

/// R, but where a later OPEN says that a sync failed: of what lies behind the durable position it names nothing was
/// acknowledged, whatever became durable in later segments.
LogPosition Planner::expected_of(const FilePlan& file) const {
  LogPosition expected = plan_.durable;
  for (const FilePlan& later : plan_.files) {
    const LogPosition durable{later.open.durable_position};
    const bool tells_of_file = later.stays() && later.index > file.index && durable.segment() <= file.index;
    if (tells_of_file && later.open.reason == OpenReason::failed) expected = std::min(expected, durable);
  }
  return expected;
}

/// E < R, unless E is where the segment really ended: at a SEAL, or where the next one says so.
bool Planner::ends_before_durable(const FilePlan& file) const {
  if (file.scan.complete) return false;
  if (LogPosition::of(file.index, file.scan.valid_end) >= expected_of(file)) return false;
  const FilePlan* next = next_staying(file);
  return next == nullptr || next->open.previous_uuid != file.header.segment_uuid ||
         next->open.previous_end_offset != file.scan.valid_end;
}

/// With R known: how an unsealed segment ends. Segments come in order.
void Planner::decide(FilePlan& file) {
  if (!file.stays()) return;
  if (file.fate == Fate::finish) {
    if (ends_before_durable(file)) {
      file.fate = Fate::keep_damaged;
      file.why = fmt::format(
          "acknowledged data is damaged from offset {} on (durable up to segment {}, offset {}); "
          "every byte is kept",
          file.scan.valid_end, plan_.durable.segment(), plan_.durable.offset());
    } else if (file.scan.torn_bytes > 0) {
      file.fate = Fate::cut;
      file.why =
          fmt::format("a torn tail of {} bytes at offset {}", file.scan.torn_bytes, file.scan.valid_end);
    }
    order_.begin(file.index, file.scan.open_time_ns);
    file.trailer = file.scan.trailer(file.header.segment_uuid,
                                     file.damage() ? TrailerState::damaged : TrailerState::recovered,
                                     order_.ordered_since);
  }
  order_.end(file.trailer);
}

/// Numbers that readers may have seen are not given out again, so damage at the log's end is asked for them. What was set
/// aside there is asked at every start until a segment follows: the attempts before may have told nobody.
Result<> Planner::look_behind_the_end() {
  const auto last = std::find_if(plan_.files.rbegin(), plan_.files.rend(),
                                 [](const FilePlan& file) { return file.stays(); });
  const bool none = last == plan_.files.rend();
  const std::uint64_t end_index = none ? 0 : last->index;
  if (!none && last->trailer.state == TrailerState::damaged) {
    if (auto done = ask_damaged(*last); !done) return done;
  }
  for (FilePlan& file : plan_.files) {
    if (file.fate != Fate::set_aside || file.index <= end_index) continue;
    const FramesBehind behind = ask_set_aside(file.name);
    file.scan.told_sequence = behind.told_sequence;
    file.scan.told_time_ns = behind.told_time_ns;
  }
  for (const auto& [name, index] : set_aside_) {
    if (index > end_index) (void)ask_set_aside(name);
  }
  return {};
}

Result<> Planner::ask_damaged(FilePlan& file) {
  const auto cursor = SegmentCursor::open(files_, plan_.directory, file.index, Access::pread);
  if (!cursor) return is_disk_trouble(cursor.error()) ? Result<>{} : cursor.error();
  const auto behind = look_at_frames(files_, cursor->fd(), cursor->header(), file.trailer.end_offset);
  file.scan.told_sequence = behind.told_sequence;
  file.scan.told_time_ns = behind.told_time_ns;
  note_told(file.name, behind);
  return {};
}

/// Nothing, unless it is this log's.
FramesBehind Planner::ask_set_aside(const std::string& name) {
  const auto file = open_by_header(name);
  if (!file || file->header.log_uuid != plan_.log_uuid) return {};
  const FramesBehind behind = look_at_frames(files_, file->fd.get(), file->header, kHeaderBytes);
  note_told(name, behind);
  return behind;
}

void Planner::note_told(const std::string& name, const FramesBehind& behind) {
  if (behind.told_sequence <= plan_.told_sequence) return;
  plan_.told_sequence = behind.told_sequence;
  plan_.told_by = name;
}

/// From the newest segment back to the one that says it all: a writer repeats what it knows in each segment before the
/// first record.
void Planner::find_clients() {
  std::vector<NumbersScan> newest_first;
  for (auto file = plan_.files.rbegin(); file != plan_.files.rend(); ++file) {
    if (!file->stays()) continue;
    if (file->header.minor < kMinorWithNumbers) break;
    newest_first.push_back(file->fate == Fate::keep ? numbers_of_sealed(*file) : file->scan.numbers);
    if (newest_first.back().complete()) break;
  }
  for (auto scan = newest_first.rbegin(); scan != newest_first.rend(); ++scan) {
    plan_.clients.add(scan->clients());
  }
}

/// A clean stop says it all once more at the very end; else every frame is read. Also of a segment that was rolled out of
/// in order and has its trailer: the daemon may have died before the next one said anything.
NumbersScan Planner::numbers_of_sealed(const FilePlan& file) const {
  NumbersScan numbers;
  auto cursor = SegmentCursor::open(files_, plan_.directory, file.index, Access::pread);
  if (!cursor) return numbers;
  cursor->read_ahead(kTailReadBytes);
  cursor->return_to(near_the_end(*cursor, file.trailer));
  if (walk_numbers(*cursor, numbers)) return numbers;
  cursor->read_ahead(kReadAheadBytes);
  cursor->return_to(kHeaderBytes);
  (void)walk_numbers(*cursor, numbers);
  return numbers;
}

}  // namespace

std::string_view fate_name(Fate fate) {
  constexpr std::array<std::string_view, kFates> kNames{"keep",         "finish",    "cut",
                                                        "keep-damaged", "set-aside", "remove"};
  return kNames[static_cast<std::size_t>(fate)];
}

Result<RecoveryPlan> plan_recovery(FileSystem& files, const std::string& directory,
                                   const std::optional<Uuid>& known_log) {
  return Planner(files, directory, known_log).run();
}

}  // namespace fastlogd::segment
