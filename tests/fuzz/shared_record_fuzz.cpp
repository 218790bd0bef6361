// Whatever stands in a frame: the slice lies inside it, and what was read can be written and read again.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/shared_record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastlogd;
  using namespace fastlogd::wire;
  const std::span<const std::byte> payload(reinterpret_cast<const std::byte*>(data), size);
  SharedRecord record;
  const SharedStatus status = read_shared_record(payload, record);
  if (size >= 8 && status != SharedStatus::broken && read_shared_number(payload) != record.number)
    std::abort();
  if (status == SharedStatus::broken) return 0;
  const char* const begin = reinterpret_cast<const char*>(data);
  if (record.slice.data() < begin || record.slice.data() + record.slice.size() > begin + size) std::abort();
  if (status == SharedStatus::malformed) return 0;
  if (record.priority.value > kPriorityMax || record.message_start > record.slice.size()) std::abort();
  std::vector<std::byte> again(size);
  write_shared_record(again.data(), record.number, record.priority, record.message_start, record.slice.size(),
                      record.sender_time_ns);
  const std::size_t start = shared_record_start(record.sender_time_ns != kNoTime);
  std::memcpy(again.data() + start, record.slice.data(), record.slice.size());
  SharedRecord second;
  if (record.sender_time_ns == kNoTime && size - record.slice.size() >= 24)
    return 0;  // a time that says "none"
  if (read_shared_record(again, second) != SharedStatus::record || second.slice != record.slice ||
      second.number != record.number) {
    std::abort();
  }
  return 0;
}
