// A sealed log of any size that takes little disk and is made in seconds: each block holds a few records and a PAD whose
// zeros are a hole. Written from the format alone, frame by frame.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "segment/index_entries.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::test {

struct SparseShape {
  std::uint64_t segments = 400;
  std::uint64_t segment_bytes = limits::kSegmentBytesDefault;
  std::uint64_t records_per_block = 4;
  std::int64_t first_time_ns = 1'700'000'000'000'000'000;
  std::int64_t between_records_ns = 1'000'000;
  bool with_index = true;

  [[nodiscard]] std::uint64_t records() const {
    return segments * (segment_bytes / segment::kBlockBytes) * records_per_block;
  }
  [[nodiscard]] std::int64_t time_of(std::uint64_t sequence) const {
    return first_time_ns + static_cast<std::int64_t>(sequence) * between_records_ns;
  }
};

/// Writes one segment after the other.
class SparseLog {
 public:
  SparseLog(std::string directory, const SparseShape& shape)
      : directory_(std::move(directory)), shape_(shape) {
    std::filesystem::create_directories(directory_);
  }

  void write() {
    for (std::uint64_t index = 1; index <= shape_.segments; ++index) write_segment(index);
  }

 private:
  static constexpr std::uint64_t kBufferBytes = 64 * limits::kKiB;

  void write_segment(std::uint64_t index) {
    header_ = {.segment_bytes = shape_.segment_bytes,
               .log_uuid = log_uuid_,
               .segment_uuid = segment::random_uuid(),
               .index = index,
               .epoch = 1,
               .created_ns = shape_.time_of(sequence_)};
    salt_ = segment::checksum_salt(header_.segment_uuid);
    fd_ = UniqueFd(::open(segment::segment_path(directory_, index).c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0440));
    FASTLOGD_CHECK(fd_ && ::ftruncate(fd_.get(), static_cast<off_t>(shape_.segment_bytes)) == 0);
    put_page(0, encode(header_));
    index_.begin_segment();
    last_index_ = last_source_ = records_ = 0;
    const std::uint64_t first = sequence_;
    for (std::uint64_t block = 0; block < shape_.segment_bytes; block += segment::kBlockBytes)
      write_block(block);
    put_page(segment::frames_end(shape_.segment_bytes),
             encode(segment::FileTrailer{.segment_uuid = header_.segment_uuid,
                                         .state = segment::TrailerState::sealed,
                                         .end_offset = at_,
                                         .first_sequence = first,
                                         .last_sequence = sequence_ - 1,
                                         .record_count = records_,
                                         .time_min_ns = shape_.time_of(first),
                                         .time_max_ns = shape_.time_of(sequence_ - 1),
                                         .last_index_offset = last_index_,
                                         .last_source_offset = last_source_,
                                         .ordered_since = 1}));
    previous_uuid_ = header_.segment_uuid;
    previous_end_ = at_;
  }

  void write_block(std::uint64_t block) {
    buffer_.assign(kBufferBytes, std::byte{0});
    buffer_start_ = at_ = std::max(block, segment::kHeaderBytes);
    if (block == 0) {
      write_opening();
    } else {
      put_struct(segment::FrameType::checkpoint,
                 segment::CheckpointPayload{
                     .durable_position = 0, .last_source_offset = last_source_, .record_count = records_});
      if (block % segment::kIndexEveryBytes == 0) write_index();
    }
    for (std::uint64_t n = 0; n < shape_.records_per_block; ++n) write_record();
    const std::uint64_t end = block + segment::kBlockBytes;
    if (end == shape_.segment_bytes) {
      if (header_.index == shape_.segments)  // as a clean stop ends
        put_struct(segment::FrameType::numbers, segment::NumbersPayload{});
      write_index();
      put_struct(segment::FrameType::seal,
                 segment::SealPayload{.last_sequence = sequence_ - 1,
                                      .record_count = records_,
                                      .last_source_offset = last_source_,
                                      .next_index = header_.index < shape_.segments ? header_.index + 1 : 0});
      flush();
    } else {
      const segment::FrameHeader pad{
          .commit = end - at_, .sequence = sequence_, .time_ns = time_, .type = segment::FrameType::pad};
      store(pad, segment::frame_checksum_start(salt_, at_, pad.length(), pad));
      at_ += segment::kFrameHeaderBytes;
      flush();
      at_ = end;
    }
  }

  void write_opening() {
    time_ = shape_.time_of(sequence_);
    put_struct(segment::FrameType::open, segment::OpenPayload{.first_sequence = sequence_,
                                                              .previous_uuid = previous_uuid_,
                                                              .previous_end_offset = previous_end_,
                                                              .previous_last_sequence = sequence_ - 1,
                                                              .durable_position = 0,
                                                              .epoch = 1,
                                                              .reason = segment::OpenReason::roll});
    last_source_ = at_;
    segment::SourcePayload source{};
    source.identifier_bytes = 3;
    std::vector<std::byte> payload(sizeof source + 3);
    std::memcpy(payload.data(), &source, sizeof source);
    std::memcpy(payload.data() + sizeof source, "app", 3);
    put(segment::FrameType::source, payload);
  }

  void write_record() {
    const std::string text = "record " + std::to_string(sequence_);
    time_ = shape_.time_of(sequence_);
    if (index_.due(at_)) index_.add({.sequence = sequence_, .time_ns = time_, .offset = at_});
    put(segment::FrameType::data, std::as_bytes(std::span(text)), 14);
    ++sequence_;
    ++records_;
  }

  void write_index() {
    if (!shape_.with_index || index_.empty()) return;
    const segment::IndexPayload head{.previous_index_offset = last_index_,
                                     .last_source_offset = last_source_};
    const auto entries = std::as_bytes(index_.entries());
    std::vector<std::byte> payload(sizeof head + entries.size());
    std::memcpy(payload.data(), &head, sizeof head);
    std::memcpy(payload.data() + sizeof head, entries.data(), entries.size());
    last_index_ = at_;
    put(segment::FrameType::index, payload);
    index_.written();
  }

  template <class T>
  void put_struct(segment::FrameType type, const T& fields) {
    put(type, std::as_bytes(std::span(&fields, 1)));
  }
  void put(segment::FrameType type, std::span<const std::byte> payload, std::uint8_t priority = 0) {
    const segment::FrameHeader frame{.commit = segment::kFrameHeaderBytes + payload.size(),
                                     .sequence = sequence_,
                                     .time_ns = time_,
                                     .type = type,
                                     .priority = priority};
    const std::uint64_t whole = segment::padded(frame.length());
    const std::span to(buffer_.data() + (at_ - buffer_start_), whole);
    std::memcpy(to.data() + segment::kFrameHeaderBytes, payload.data(), payload.size());
    store(frame, segment::frame_checksum(salt_, at_, frame, to.subspan(segment::kFrameHeaderBytes)));
    at_ += whole;
  }
  void store(segment::FrameHeader frame, std::uint32_t crc) {
    frame.commit |= std::uint64_t{crc} << 32;
    std::memcpy(buffer_.data() + (at_ - buffer_start_), &frame, sizeof frame);
  }
  void flush() {
    FASTLOGD_CHECK(posix_file_system()
                       .write_at(fd_.get(), std::span(buffer_).first(at_ - buffer_start_), buffer_start_)
                       .has_value());
  }
  void put_page(std::uint64_t offset, const segment::Page& page) {
    FASTLOGD_CHECK(posix_file_system().write_at(fd_.get(), page, offset).has_value());
  }

  std::string directory_;
  SparseShape shape_;
  segment::Uuid log_uuid_ = segment::random_uuid();
  segment::Uuid previous_uuid_{};
  std::uint64_t previous_end_ = 0;
  std::uint64_t sequence_ = 1;

  segment::FileHeader header_{};
  std::uint32_t salt_ = 0;
  UniqueFd fd_;
  segment::IndexEntries index_;
  std::uint64_t last_index_ = 0;
  std::uint64_t last_source_ = 0;
  std::uint64_t records_ = 0;
  std::int64_t time_ = 0;
  std::uint64_t at_ = 0;
  std::uint64_t buffer_start_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace fastlogd::test
