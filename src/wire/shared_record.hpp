// A record in shared memory: the payload of a frame of the ring, as a client writes it and the daemon reads it.
// FORMAT.md is its document.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "record/record_view.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::wire {

/// Views point into the bytes that were read.
struct SharedRecord {
  std::uint64_t number = 0;
  std::int64_t sender_time_ns = kNoTime;
  Priority priority;
  std::uint32_t message_start = 0;  ///< 0: no structured data, the slice is the message
  std::string_view slice;
};

enum class SharedStatus : std::uint8_t {
  record,
  malformed,  ///< a field that makes no sense; `number` and the length of `slice` are right, it can be passed over
  broken,  ///< no record: nothing behind it can be believed either
};

/// The number alone, of a frame of which only the beginning is there; 0: not even that.
[[nodiscard]] std::uint64_t read_shared_number(std::span<const std::byte> payload);

/// Bytes before the slice.
[[nodiscard]] constexpr std::size_t shared_record_start(bool has_time) {
  return sizeof(SharedRecordFields) + (has_time ? 8 : 0);
}

/// Of a record that says it has structured data: is it there, and does the message start behind it?
[[nodiscard]] SharedStatus read_shared_structure(const SharedRecord& record);

/// Reads the payload of one frame. The bytes are the caller's own copy: they are looked at more than once.
[[nodiscard]] inline SharedStatus read_shared_record(std::span<const std::byte> payload,
                                                     SharedRecord& record) {
  SharedRecordFields fields;
  if (payload.size() < sizeof fields || payload.size() % 8 != 0) return SharedStatus::broken;
  std::memcpy(&fields, payload.data(), sizeof fields);
  const bool has_time = (fields.flags & SharedRecordFields::kHasTime) != 0;
  const std::size_t start = shared_record_start(has_time);
  if ((fields.flags & ~SharedRecordFields::kHasTime) != 0 || fields.padding_bytes > 7 || fields.zero != 0 ||
      payload.size() < start + fields.padding_bytes) {
    return SharedStatus::broken;
  }
  record.number = fields.number;
  record.priority = Priority{fields.priority};
  record.message_start = fields.message_start;
  record.sender_time_ns = kNoTime;
  if (has_time)
    std::memcpy(&record.sender_time_ns, payload.data() + sizeof fields, sizeof record.sender_time_ns);
  record.slice = {reinterpret_cast<const char*>(payload.data()) + start,
                  payload.size() - start - fields.padding_bytes};
  if (fields.priority > kPriorityMax) return SharedStatus::malformed;
  return fields.message_start == 0 ? SharedStatus::record : read_shared_structure(record);
}

/// Writes all but the slice, which begins at shared_record_start() and is `slice_bytes` long. `to` begins at a frame's
/// payload; frame_bytes() of the ring pads to 8.
inline void write_shared_record(std::byte* to, std::uint64_t number, Priority priority,
                                std::uint32_t message_start, std::size_t slice_bytes,
                                std::int64_t sender_time_ns) {
  const bool has_time = sender_time_ns != kNoTime;
  const std::size_t used = shared_record_start(has_time) + slice_bytes;
  const SharedRecordFields fields{.number = number,
                                  .message_start = message_start,
                                  .priority = priority.value,
                                  .flags = has_time ? SharedRecordFields::kHasTime : std::uint8_t{0},
                                  .padding_bytes = static_cast<std::uint8_t>((8 - used % 8) % 8)};
  std::memcpy(to, &fields, sizeof fields);
  if (has_time) std::memcpy(to + sizeof fields, &sender_time_ns, sizeof sender_time_ns);
}

}  // namespace fastlogd::wire
