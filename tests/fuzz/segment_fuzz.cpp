// Arbitrary bytes as the body of a segment, through every reader of segments: cursor, reader, library, recovery, verify.
//
// Byte 0 chooses: bit 0, frames get a right length and checksum, so that what lies behind the checksum is reached
// (a stranger can compute it too); bit 1, a trailer is written; bit 2, the log has a second segment behind it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "fastlog/fastlog_reader.h"
#include "segment/log_reader.hpp"
#include "segment/recovery_plan.hpp"
#include "segment/segment_file.hpp"
#include "segment/verify.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::segment;

constexpr std::uint64_t kBytes = limits::kSegmentBytesMin;
constexpr std::size_t kBodyMax = 64 * limits::kKiB;
constexpr Uuid kLog{1};

struct Input {
  const std::uint8_t* at;
  std::size_t left;
  std::uint8_t byte() {
    if (left == 0) return 0;
    --left;
    return *at++;
  }
  void take(std::byte* to, std::size_t n) {
    n = std::min(n, left);
    std::memcpy(to, at, n);
    at += n;
    left -= n;
  }
};

/// Frames whose header fields and payloads are the input's, but whose length and checksum are right.
std::size_t write_frames(Input& input, std::uint32_t salt, std::vector<std::byte>& body) {
  std::size_t offset = 0;
  while (input.left > 0 && offset + 4096 < body.size()) {
    FrameHeader header{.type = FrameType{input.byte()}};
    const std::uint8_t shape = input.byte();
    header.sequence = shape % 4 == 3 ? ~std::uint64_t{0} : input.byte();
    header.source = shape % 8 == 7 ? 999 : 0;
    header.priority = input.byte();
    header.extension_words = input.byte() % 8;
    const std::size_t payload = input.byte() * (shape % 16 == 15 ? 8U : 1U);
    header.commit = kFrameHeaderBytes + payload;
    const std::span frame(body.data() + offset, padded(header.length()));
    input.take(frame.data() + kFrameHeaderBytes, payload);
    const std::uint32_t crc =
        frame_checksum(salt, kHeaderBytes + offset, header, frame.subspan(kFrameHeaderBytes));
    header.commit |= std::uint64_t{crc} << 32;
    std::memcpy(frame.data(), &header, sizeof header);
    offset += frame.size();
  }
  return offset;
}

void write_segment(const std::string& directory, std::uint64_t index, std::uint8_t choice, Input& input) {
  FileHeader header{};
  header.segment_bytes = kBytes;
  header.log_uuid = kLog;
  header.segment_uuid = {static_cast<std::uint8_t>(index)};
  header.index = index;
  header.epoch = 1;
  std::vector<std::byte> body(kBodyMax);
  std::size_t used = std::min(input.left, kBodyMax);
  if ((choice & 1) != 0) {
    used = write_frames(input, checksum_salt(header.segment_uuid), body);
  } else {
    input.take(body.data(), used);
  }
  const UniqueFd fd(::open(segment_path(directory, index).c_str(), O_RDWR | O_CREAT | O_TRUNC, 0640));
  FASTLOGD_CHECK(fd && ::ftruncate(fd.get(), kBytes) == 0);
  FileSystem& files = posix_file_system();
  FASTLOGD_CHECK(files.write_at(fd.get(), encode(header), 0).has_value());
  FASTLOGD_CHECK(files.write_at(fd.get(), std::span(body).first(used), kHeaderBytes).has_value());
  if ((choice & 2) == 0) return;
  FileTrailer trailer{};
  trailer.segment_uuid = header.segment_uuid;
  trailer.state = TrailerState{1U + choice / 8U % 3U};
  trailer.end_offset = kHeaderBytes + padded(used);
  trailer.first_sequence = 1;
  trailer.last_sequence = input.byte();
  trailer.last_index_offset = kHeaderBytes + std::uint64_t{input.byte()} * 8;
  trailer.ordered_since = input.byte() % (index + 1);
  trailer.record_count = input.byte();
  trailer.time_max_ns = input.byte();
  FASTLOGD_CHECK(files.write_at(fd.get(), encode(trailer), kBytes - kTrailerBytes).has_value());
}

/// Every item must be a whole view, and walking must end.
void read_all(const std::string& directory, Access access) {
  auto reader = LogReader::open(directory, access);
  if (!reader) return;
  LogItem item;
  std::size_t sum = 0;
  int items = 0;
  const auto look = [&] {
    FASTLOGD_CHECK(++items < 100'000);
    if (item.kind != LogItem::Kind::record) return;
    for (const char c : item.record.message()) sum += static_cast<unsigned char>(c);
    sum += item.record.structured_data().size() + item.record.source.identifier.size() +
           item.record.procid.size();
  };
  while (reader->next(item) == ReadStatus::item) look();
  while (reader->previous(item) == ReadStatus::item) look();
  if (reader->seek_sequence(Sequence{sum % 300})) (void)reader->next(item);
  if (reader->seek_time(static_cast<std::int64_t>(sum))) (void)reader->next(item);
  (void)reader->seek(LogPosition::of(1, kHeaderBytes + sum % kBodyMax / 8 * 8));
  reader->seek_end();
  if (reader->previous(item) == ReadStatus::item) look();
}

/// Every byte that the views of a batch point at.
std::uint64_t sum_of(std::span<const fastlog_record> batch) {
  std::uint64_t sum = 0;
  const auto add = [&sum](const char* text, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) sum = sum * 31 + static_cast<unsigned char>(text[i]);
  };
  for (const fastlog_record& record : batch) {
    sum += record.sequence + record.position + record.next + record.gap.count;
    if (record.frame != nullptr) add(reinterpret_cast<const char*>(record.frame), record.frame->length);
    add(record.slice, record.slice_bytes);
    add(record.message, record.message_bytes);
    add(record.host, record.host_bytes);
    add(record.identifier, record.identifier_bytes);
    add(record.procid, record.procid_bytes);
    add(record.msgid, record.msgid_bytes);
  }
  return sum;
}

/// The library: a batch's views are whole together, and those into a pinned segment still after the next poll.
std::uint64_t poll_all(const std::string& directory, std::uint32_t flags) {
  fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
  options.flags = flags;
  fastlog_reader* reader = nullptr;
  if (fastlog_reader_open(directory.c_str(), &options, &reader) != FASTLOG_OK) return 0;
  const bool pins = (flags & FASTLOG_READER_COPY) == 0;
  std::array<std::vector<fastlog_record>, 2> batches;
  std::uint64_t sum = 0;
  std::uint64_t sum_before = 0;
  for (int polls = 0;; ++polls) {
    FASTLOGD_CHECK(polls < 100'000);
    auto& batch = batches[static_cast<std::size_t>(polls % 2)];
    auto& before = batches[static_cast<std::size_t>((polls + 1) % 2)];
    batch.resize(5);
    const int count = fastlog_reader_poll(reader, batch.data(), batch.size(), 0);
    batch.resize(static_cast<std::size_t>(std::max(count, 0)));
    const std::uint64_t one = sum_of(batch);
    if (pins) FASTLOGD_CHECK(sum_of(before) == sum_before);
    sum = sum * 31 + one;
    if (count <= 0) break;
    for (const fastlog_record& record : batch) {
      if (pins && record.frame != nullptr) {
        FASTLOGD_CHECK(fastlog_reader_pin(reader, record.position) == FASTLOG_OK);
      }
    }
    for (const fastlog_record& record : before) {
      if (pins && record.frame != nullptr) {
        FASTLOGD_CHECK(fastlog_reader_unpin(reader, record.position) == FASTLOG_OK);
      }
    }
    sum_before = one;
  }
  fastlog_reader_close(reader);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string directory = [] {
    std::string pattern = "/dev/shm/fastlogd-fuzz-XXXXXX";
    FASTLOGD_CHECK(::mkdtemp(pattern.data()) != nullptr);
    static std::string made = pattern;
    std::atexit([] { std::filesystem::remove_all(made); });
    return pattern;
  }();
  for (const auto& name : posix_file_system().list(directory).value())
    ::unlink((directory + "/" + name).c_str());
  Input input{data, size};
  const std::uint8_t choice = input.byte();
  if ((choice & 4) != 0) {
    Input half{input.at, input.left / 2};
    write_segment(directory, 1, choice, half);
    input.at += input.left / 2;
    input.left -= input.left / 2;
    write_segment(directory, 2, choice / 2, input);
  } else {
    write_segment(directory, 1, choice, input);
  }
  read_all(directory, Access::mapped);
  (void)poll_all(directory, 0);
  FASTLOGD_CHECK(verify_directory(directory, {}).has_value());
  const auto plan = plan_recovery(posix_file_system(), directory, kLog);
  FASTLOGD_CHECK(plan.has_value());
  const auto foretold = conclude(*plan);
  for (const FilePlan& file : plan->files) (void)affected_by(*plan, file);
  const auto first = recover(posix_file_system(), directory, kLog);
  FASTLOGD_CHECK(first.has_value() && first->next_sequence == foretold.next_sequence &&
                 first->gaps.size() == foretold.gaps.size() &&
                 first->segments.size() == foretold.segments.size());
  const auto second = recover(posix_file_system(), directory, kLog);
  FASTLOGD_CHECK(second.has_value() && second->next_sequence == first->next_sequence);
  read_all(directory, Access::pread);
  (void)poll_all(directory, FASTLOG_READER_COPY);
  FASTLOGD_CHECK(verify_directory(directory, {}).has_value());
  return 0;
}
