// The daemon's half of the handshake that hands out shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest/ingest_options.hpp"
#include "ingest/ring_keeper.hpp"
#include "ingest/ring_note.hpp"
#include "ingest/shared_quota.hpp"
#include "ring/shared_memory.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::ingest {

/// Memory for one client, or why it gets none.
struct SharedGrant {
  wire::ShareRefusal refusal = wire::ShareRefusal::none;
  ring::SharedMemory memory;
  SharedQuota::Lease lease;
  std::size_t record_bytes_max = 0;  ///< of a slice in this ring
};

/// About `wanted` bytes, within what the limits allow, and never too few for the largest record. An io thread's, at a
/// handshake: allocates and maps.
[[nodiscard]] SharedGrant grant_shared_memory(SharedQuota& quota, const LimitOptions& limits,
                                              std::uint32_t uid, std::uint64_t wanted);

/// Leaves the ring with somebody for the daemon that comes after this one, with a note whose it is. Returns the name it is
/// kept under; empty: nobody keeps it. Before send_shared_memory().
[[nodiscard]] std::string keep_shared_memory(RingKeeper* keeper, const SharedGrant& grant,
                                             const RingNote& note);

/// MEMORY and the descriptors, in one message, which a fresh connection has room for. False: it failed, and so has the
/// connection. The descriptors are closed here.
[[nodiscard]] bool send_shared_memory(int fd, SharedGrant& grant);

}  // namespace fastlogd::ingest
