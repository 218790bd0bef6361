// The numbers of the native protocol: what FORMAT.md describes, shared by exactly the two that read and write it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fastlogd::wire {

/// The first bytes of a connection. 0xF5 occurs in no UTF-8 text, and CR LF shows a channel that translates line ends.
inline constexpr std::array<char, 8> kNativeMagic = {'\xF5', 'f', 'l', 'o', 'g', '\r', '\n', '\0'};
inline constexpr std::uint16_t kNativeVersion = 1;

/// Second half of the numbers: from the daemon.
enum class NativeType : std::uint8_t {
  hello = 1,
  batch = 2,
  flush = 3,
  ping = 4,
  share = 6,
  bell = 7,
  welcome = 129,
  ack = 130,
  refused = 131,
  error = 132,
  pong = 133,
  memory = 134,
};

/// What a client wants to be told of a record. Ordered: who wants more is told the less as well.
enum class Wanted : std::uint8_t {
  none = 0,    ///< nothing
  stored = 1,  ///< that readers can see it and that it survives the death of the daemon
  synced = 2,  ///< that it is on disk: the daemon syncs without waiting for its interval
};

/// Why a record is not (known to be) in the log.
enum class Refusal : std::uint8_t {
  too_large = 1,           ///< over WELCOME's record_bytes_max
  malformed = 2,           ///< a field that makes no sense
  stream_full = 3,         ///< no room in the log, and the stream is configured to drop
  durability_unknown = 4,  ///< stored, but the sync failed: it may not survive a power loss
  shutting_down = 5,       ///< the daemon's stop ran out of time
};
inline constexpr std::size_t kRefusals = 6;  // 0 is none

/// Of records; so that counting on can't wrap.
inline constexpr std::uint64_t kNativeNumberMax = std::uint64_t{1} << 62;

/// Why a connection ends.
enum class NativeError : std::uint8_t {
  none = 0,
  malformed = 1,      ///< lengths or types that can't be: the rest can't be read
  version = 2,        ///< no version in common
  order = 3,          ///< record numbers with a hole, or a FLUSH of what was never sent
  not_here = 4,       ///< the listener takes text alone
  not_reading = 5,    ///< the peer doesn't read what it is told; not sent: it would not read this either
  shutting_down = 6,  ///< an orderly end: everything up to the last ACK is safe
  not_yet = 7,        ///< what the client wrote before the daemon's start is still being stored
};

/// Why a client gets no shared memory. The connection goes on without.
enum class ShareRefusal : std::uint8_t {
  none = 0,
  not_here = 1,   ///< not a Unix connection
  off = 2,        ///< the daemon's configuration says so
  quota = 3,      ///< the user has as much as one user may have
  no_memory = 4,  ///< the daemon found no memory or descriptors
};

/// Every message begins with this; `bytes` counts it and is a multiple of 8.
struct NativeHeader {
  std::uint32_t bytes = 0;
  NativeType type{};
  std::uint8_t detail = 0;  ///< BATCH: a Wanted; REFUSED: a Refusal; ERROR: a NativeError; FLUSH: 0
                            ///< synced, 1 stored; SHARE: kSharedLayout; MEMORY: a ShareRefusal; else 0
  std::uint16_t zero = 0;
  std::uint64_t number = 0;
};
static_assert(sizeof(NativeHeader) == 16);

/// Behind the header of HELLO; identifier, host and client id follow, padded with zeros.
struct NativeHelloFields {
  std::uint16_t version_min = kNativeVersion;
  std::uint16_t version_max = kNativeVersion;
  std::uint32_t flags = 0;  ///< none defined: must be 0
  std::uint8_t identifier_bytes = 0;
  std::uint8_t host_bytes = 0;
  std::uint8_t client_id_bytes = 0;  ///< 16 or 0: has none
  std::array<std::uint8_t, 5> zero{};
};
static_assert(sizeof(NativeHelloFields) == 16);

/// Behind the header of BATCH; the records follow.
struct NativeBatchFields {
  std::uint32_t records = 0;  ///< at least 1
  std::uint32_t zero = 0;
};
static_assert(sizeof(NativeBatchFields) == 8);

/// Begins a record. Behind it, without gaps: i64 sender time (if kHasTime), identifier, PROCID, MSGID, slice; then zeros
/// up to a multiple of 8.
struct NativeRecordFields {
  static constexpr std::uint8_t kWantedMask = 0x03;
  static constexpr std::uint8_t kHasTime = 0x04;

  std::uint32_t slice_bytes = 0;
  std::uint32_t message_start = 0;  ///< in the slice, behind STRUCTURED-DATA and a space; 0: it has none
  std::uint8_t priority = 0;
  std::uint8_t flags = 0;
  std::uint8_t identifier_bytes = 0;  ///< 0: HELLO's
  std::uint8_t procid_bytes = 0;
  std::uint8_t msgid_bytes = 0;
  std::array<std::uint8_t, 3> zero{};
};
static_assert(sizeof(NativeRecordFields) == 16);

struct NativeWelcomeFields {
  std::uint16_t version = kNativeVersion;
  std::uint16_t zero = 0;
  std::uint32_t flags = 0;  ///< none defined
  std::uint32_t message_bytes_max = 0;
  std::uint32_t record_bytes_max = 0;  ///< of a slice; a reload may change it, refusals tell
};
static_assert(sizeof(NativeWelcomeFields) == 16);

/// How a ring in shared memory is laid out: ring/shared_layout.hpp and SharedRecordFields.
inline constexpr std::uint8_t kSharedLayout = 1;

/// Behind the header of MEMORY, whose number is the capacity of the ring.
struct NativeMemoryFields {
  std::uint32_t record_bytes_max = 0;  ///< the longest slice in this ring
  std::uint32_t zero = 0;
};
static_assert(sizeof(NativeMemoryFields) == 8);

/// Begins the payload of a frame in shared memory. Behind it: i64 sender time (if kHasTime), slice, padding.
struct SharedRecordFields {
  static constexpr std::uint8_t kHasTime = 0x01;

  std::uint64_t number = 0;
  std::uint32_t message_start = 0;  ///< in the slice, behind STRUCTURED-DATA and a space; 0: it has none
  std::uint8_t priority = 0;
  std::uint8_t flags = 0;
  std::uint8_t padding_bytes = 0;  ///< behind the slice, at most 7
  std::uint8_t zero = 0;
};
static_assert(sizeof(SharedRecordFields) == 16);

}  // namespace fastlogd::wire
