// What the front end counts. One ListenerCounters per listener and io thread, written by that thread only,
// except where a SharedCounter says otherwise; a scrape adds them up. They outlive the listener, so that a
// removed listener's records stay in the equation received = stored + repeated + dropped + in_flight.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/counter.hpp"

namespace fastlogd::ingest {

/// Why the daemon closed a connection or refused one.
enum class CloseReason : std::uint8_t {
  peer,
  error,
  abusive,
  connections_max,
  not_text,
  shutdown,
  removed,
  descriptors
};
inline constexpr std::size_t kCloseReasons = 8;

/// Why a record that had been received was not handed to the appender.
enum class DropReason : std::uint8_t { ring_full, shutdown, refused };
inline constexpr std::size_t kDropReasons = 3;

/// Why a native client was told that a record is not (known to be) safe: wire::Refusal from 1 on, in its order.
inline constexpr std::size_t kRefusalReasons = 5;

/// Why a client got no shared memory: wire::ShareRefusal from 1 on, in its order.
inline constexpr std::size_t kShareRefusals = 4;

struct ListenerCounters {
  Counter received_records;  ///< complete messages, counted when framed
  Counter received_bytes;    ///< bytes read from sockets
  Counter truncated_records;
  Counter malformed_records;
  std::array<Counter, kDropReasons> dropped_records;
  Counter kernel_dropped_records;  ///< before receipt: UDP socket buffer overflow
  Counter control_truncated;       ///< MSG_CTRUNC: credentials of a datagram were lost
  Counter descriptors_closed;      ///< uninvited file descriptors that came with a datagram
  Counter backpressure_pauses;     ///< times reading stopped because a ring was full
  std::array<Counter, kRefusalReasons> refused_records;  ///< native clients were told so
  Counter acknowledgements;                              ///< messages, not records
  std::array<Counter, kShareRefusals> refused_shares;
  Counter client_dropped_records;  ///< before receipt: clients with shared memory say so
  Counter shared_violations;       ///< rings that were taken back because of what was in them
  Counter shared_connections;      ///< of the native ones, those that got shared memory
  Counter resumed_rings;           ///< of the daemon before this one, drained by this one
  Counter native_connections;      ///< of the accepted ones, those that speak the native protocol
  Counter accepted_connections;
  Counter accept_errors;
  std::array<Counter, kCloseReasons> closed_connections;
  std::atomic<std::int64_t> open_connections{0};
};

}  // namespace fastlogd::ingest
