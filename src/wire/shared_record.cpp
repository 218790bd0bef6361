#include "wire/shared_record.hpp"

#include "record/structured_data.hpp"

namespace fastlogd::wire {

SharedStatus read_shared_record(std::span<const std::byte> payload, SharedRecord& record) {
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
  if (fields.message_start == 0) return SharedStatus::record;
  // STRUCTURED-DATA and a space, or STRUCTURED-DATA alone: RFC 5424 section 6.
  const std::size_t data = structured_data_bytes(record.slice);
  const bool fits = data != 0 && fields.message_start == std::min(data + 1, record.slice.size());
  return fits ? SharedStatus::record : SharedStatus::malformed;
}

std::uint64_t read_shared_number(std::span<const std::byte> payload) {
  std::uint64_t number = 0;
  if (payload.size() >= sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

}  // namespace fastlogd::wire
