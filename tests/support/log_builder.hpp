// Logs made frame by frame, without the threads of a store: sealed, torn, damaged or live as a test wants.
#pragma once

#include <fcntl.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_file.hpp"
#include "segment/segment_writer.hpp"

namespace fastlogd::test {

inline constexpr std::int64_t kFirstTime = 1'700'000'000'000'000'000;  // times in these logs begin here

/// Writes one log. Sequence numbers and segment indices go up by themselves; record n has time kFirstTime + n, and
/// time_shift more.
class LogBuilder {
 public:
  explicit LogBuilder(std::string directory, std::uint64_t segment_bytes = limits::kMiB)
      : directory_(std::move(directory)), segment_bytes_(segment_bytes) {
    std::filesystem::create_directories(directory_);
  }

  /// Prepares the next segment and writes its OPEN and one source.
  void begin(LogPosition durable = {}, bool define_source = true) {
    prepare();
    const segment::OpenPayload open{.first_sequence = next_sequence,
                                    .previous_uuid = previous_uuid_,
                                    .previous_end_offset = previous_end_,
                                    .previous_last_sequence = next_sequence - 1,
                                    .durable_position = durable.value,
                                    .epoch = epoch,
                                    .reason = reason};
    writer.start(*file, open, now());
    if (define_source) source = writer.append_source({.host = "host", .identifier = "app"}).value();
  }
  /// Allocates the next segment and writes nothing: what a housekeeper leaves that prepared ahead.
  void prepare() {
    file = std::make_unique<segment::PreparedSegment>(
        segment::prepare_segment(posix_file_system(), {.directory = directory_,
                                                       .log_uuid = log_uuid,
                                                       .index = next_index++,
                                                       .epoch = epoch,
                                                       .segment_bytes = segment_bytes_,
                                                       .boot_id = segment::current_boot_id()})
            .value());
  }

  /// False: the segment is full.
  [[nodiscard]] bool add(const std::string& message) {
    const segment::NewRecord record{.sequence = Sequence{next_sequence},
                                    .receive_time_ns = now(),
                                    .source = source,
                                    .priority = Priority{14},
                                    .flags = {},
                                    .extension = {},
                                    .slice = message};
    if (!writer.append(record)) return false;
    ++next_sequence;
    return true;
  }
  void add_records(int count, const std::string& text = "record") {
    for (int i = 0; i < count; ++i) FASTLOGD_CHECK(add(text + " " + std::to_string(next_sequence)));
  }
  /// Records of this size until no more fit.
  void fill(std::size_t bytes) {
    while (add(std::string(bytes, 'x'))) continue;
  }

  /// SEAL frame, trailer, all of it: what a roll and the housekeeper make.
  void seal() {
    seal_frame();
    FASTLOGD_CHECK(segment::seal_segment(posix_file_system(), file->fd.get(), file->header, writer.trailer())
                       .has_value());
  }
  /// The SEAL frame alone: the daemon died before the housekeeper got there.
  void seal_frame() {
    writer.seal(next_index);
    leave();
  }
  /// Goes on with the next segment as if this one were whole.
  void leave() {
    previous_uuid_ = file->header.segment_uuid;
    previous_end_ = writer.offset();
  }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string path(std::uint64_t index) const {
    return segment::segment_path(directory_, index);
  }
  [[nodiscard]] std::string current_path() const { return file->path; }

  segment::Uuid log_uuid = segment::random_uuid();
  std::uint64_t epoch = 1;
  std::uint64_t next_index = 1;
  std::uint64_t next_sequence = 1;
  std::uint32_t source = 0;
  std::int64_t time_shift = 0;
  segment::OpenReason reason = segment::OpenReason::roll;  ///< of the next OPEN
  std::unique_ptr<segment::PreparedSegment> file;
  segment::SegmentWriter writer;

 private:
  [[nodiscard]] std::int64_t now() const {
    return kFirstTime + static_cast<std::int64_t>(next_sequence) + time_shift;
  }

  std::string directory_;
  std::uint64_t segment_bytes_;
  segment::Uuid previous_uuid_{};
  std::uint64_t previous_end_ = 0;
};

/// A LogBuilder whose log is running: locked, with a control file.
class LiveLog : public LogBuilder {
 public:
  explicit LiveLog(const std::string& directory, std::uint64_t segment_bytes = limits::kMiB)
      : LogBuilder(directory, segment_bytes) {
    start();
  }
  ~LiveLog() {
    if (control) control->unlink_files();
  }
  LiveLog(const LiveLog&) = delete;
  LiveLog& operator=(const LiveLog&) = delete;

  void start() {
    lock = segment::DirectoryLock::acquire(posix_file_system(), directory()).value();
    control = segment::ControlWriter::create("/dev/shm",
                                             std::string("fastlogd-").append(segment::to_string(log_uuid)),
                                             {.log_uuid = log_uuid,
                                              .boot_id = segment::current_boot_id(),
                                              .epoch = epoch,
                                              .segment_bytes = limits::kMiB})
                  .value();
    control->set_committed(LogPosition::of(next_index, 0));
    control->set_oldest(LogPosition::of(1, segment::kHeaderBytes));
    FASTLOGD_CHECK(
        lock->describe(posix_file_system(), control->control_path(), control->wait_path(), log_uuid)
            .has_value());
    control->set_state(segment::LogState::running);
  }
  /// As after kill -9: the lock is gone, everything else stays.
  void die() { lock.reset(); }
  void publish() { control->set_committed(writer.position()); }

  std::optional<segment::DirectoryLock> lock;
  std::optional<segment::ControlWriter> control;
};

inline std::vector<std::byte> read_file(const std::string& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

/// Overwrites bytes of a file, whatever its mode says.
inline void poke(const std::string& path, std::uint64_t offset, std::span<const std::byte> bytes) {
  const UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  FASTLOGD_CHECK(::fchmod(readable.get(), 0640) == 0);
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  FASTLOGD_CHECK(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                 static_cast<ssize_t>(bytes.size()));
}

inline void flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::byte byte{};
  FASTLOGD_CHECK(::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
  byte ^= static_cast<std::byte>(1U << bit);
  poke(path, offset, {&byte, 1});
}

/// Changes a frame as somebody could who computes its checksum anew.
inline void forge(const std::string& path, std::uint64_t offset,
                  const std::function<void(segment::FrameHeader&, std::span<std::byte>)>& change) {
  auto bytes = read_file(path);
  const auto header = segment::decode_header(bytes, bytes.size()).header.value();
  segment::FrameHeader frame;
  std::memcpy(&frame, bytes.data() + offset, sizeof frame);
  const std::span whole(bytes.data() + offset, segment::padded(frame.length()));
  const auto payload = whole.subspan(sizeof frame);
  change(frame, payload.first(frame.length() - sizeof frame));
  frame.commit = frame.length() | std::uint64_t{segment::frame_checksum(
                                      segment::checksum_salt(header.segment_uuid), offset, frame, payload)}
                                      << 32;
  std::memcpy(whole.data(), &frame, sizeof frame);
  poke(path, offset, whole);
}

/// What a reader gave, in order, until it had caught up. "<a-b>" is a numbered gap, "<gap>" one without numbers.
inline std::vector<std::string> read_to_end(segment::LogReader& reader) {
  std::vector<std::string> items;
  segment::LogItem item;
  while (reader.next(item) == segment::ReadStatus::item) {
    if (item.kind == segment::LogItem::Kind::record) {
      items.emplace_back(item.record.message());
    } else if (item.gap.numbered()) {
      items.push_back("<" + std::to_string(item.gap.first.value) + "-" + std::to_string(item.gap.last.value) +
                      ">");
    } else {
      items.emplace_back("<gap>");
    }
  }
  return items;
}

inline std::vector<std::string> records(std::uint64_t from, std::uint64_t to,
                                        const std::string& text = "record") {
  std::vector<std::string> messages;
  for (std::uint64_t i = from; i <= to; ++i) messages.push_back(text + " " + std::to_string(i));
  return messages;
}

}  // namespace fastlogd::test
