#include "ingest/shared_grant.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/diagnostics.hpp"
#include "base/send_descriptors.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {

SharedGrant grant_shared_memory(SharedQuota& quota, const LimitOptions& limits, std::uint32_t uid,
                                std::uint64_t wanted) {
  SharedGrant grant;
  if (limits.shared_rings_max == 0) {
    grant.refusal = wire::ShareRefusal::off;
    return grant;
  }
  grant.record_bytes_max = limits.record_bytes_max;
  const std::size_t least = std::max(limits::kSharedRingBytesMin, std::bit_ceil(4 * limits.record_bytes_max));
  const std::size_t capacity = std::bit_ceil(static_cast<std::size_t>(
      std::clamp<std::uint64_t>(wanted, least, std::max(least, limits::kSharedRingBytesMax))));
  grant.lease = quota.take(uid, ring::SharedMemory::bytes_taken(capacity), limits.shared_rings_max,
                           limits.shared_bytes_max);
  if (!grant.lease) {
    grant.refusal = wire::ShareRefusal::quota;
    return grant;
  }
  Result<ring::SharedMemory> memory = ring::SharedMemory::create(capacity);
  if (!memory) {
    static diag::RateLimit complaints;
    complaints.log(diag::Level::error, "no shared memory for a client: {}", memory.error().message());
    grant.lease = {};
    grant.refusal = wire::ShareRefusal::no_memory;
    return grant;
  }
  grant.memory = std::move(*memory);
  return grant;
}

/// A client without an id can't be told from others when it comes back: its records would be stored twice.
std::string keep_shared_memory(RingKeeper* keeper, const SharedGrant& grant, const RingNote& note) {
  if (keeper == nullptr || note.client.is_none()) return {};
  if (!write_ring_note(grant.memory.parts().consumer->note, note)) return {};
  return keeper->keep(grant.memory.data_fd(), grant.memory.own_page_fd());
}

bool send_shared_memory(int fd, SharedGrant& grant) {
  std::array<char, limits::kNativeReplyBytesMax> text;
  const std::size_t bytes = wire::write_memory(text, grant.memory.parts().capacity, grant.record_bytes_max);
  const bool sent =
      send_descriptors(fd, {text.data(), bytes}, {grant.memory.data_fd(), grant.memory.consumer_page_fd()});
  grant.memory.close_descriptors();
  return sent;
}

}  // namespace fastlogd::ingest
