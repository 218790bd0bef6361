#include "wire/shared_record.hpp"

#include "record/structured_data.hpp"

namespace fastlogd::wire {

SharedStatus read_shared_structure(const SharedRecord& record) {
  // STRUCTURED-DATA and a space, or STRUCTURED-DATA alone: RFC 5424 section 6.
  const std::size_t data = structured_data_bytes(record.slice);
  const bool fits = data != 0 && record.message_start == std::min(data + 1, record.slice.size());
  return fits ? SharedStatus::record : SharedStatus::malformed;
}

std::uint64_t read_shared_number(std::span<const std::byte> payload) {
  std::uint64_t number = 0;
  if (payload.size() >= sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

}  // namespace fastlogd::wire
