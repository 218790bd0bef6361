// What travels through a ring between an io thread and the appender: the layout of ring entries.
//
// The ring knows only bytes. It carries entries of three kinds, each a multiple of 8 bytes long and never
// split:
//
//   SourceDefinition   "from now on slot N means this sender"; written before the slot's first use
//   Block              received bytes as they came, and behind them one Descriptor per complete message
//   SyncRequest        a header alone: "sync what came before", for a client that asks after it has sent
//
//   Block:  | EntryHeader 24 | received bytes, padded to 8 | Descriptor 0 | Descriptor 1 | ... | Numbering 32 |
//
// The Numbering is there (kind numbered_block) if the sender has an id and numbers of its own: its messages are numbered
// from there on without a hole.
//
// A socket receives straight into the reserved span, so a message is copied in user space exactly once: by
// the appender, from here into the segment. Descriptors name slices of the received bytes; they do not own
// any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/counter.hpp"
#include "base/limits.hpp"
#include "record/client_numbers.hpp"
#include "record/record_view.hpp"

namespace fastlogd::ingress {

enum class EntryKind : std::uint32_t {
  block = 1,
  source_definition = 2,
  sync_request = 3,
  numbered_block = 4,  ///< with the numbers that a client gives its records
  lent_block = 5       ///< likewise; its records lie in the client's memory, too, until they are published
};

struct EntryHeader {
  std::uint32_t entry_bytes = 0;  ///< whole entry, a multiple of 8
  EntryKind kind = EntryKind::block;
  std::uint32_t payload_bytes = 0;     ///< received bytes (Block) or host + identifier (SourceDefinition)
  std::uint32_t descriptor_count = 0;  ///< Block only
  std::int64_t receive_time_ns = 0;    ///< wall clock when the io thread received the block
};
static_assert(sizeof(EntryHeader) == 24);

/// In Descriptor::flags only: the sender asks that this record be synced without waiting for the interval. Never
/// stored: the appender masks it out.
inline constexpr std::uint8_t kSync = 0x10;
static_assert((kSync & RecordFlags::kStoredMask) == 0);

/// One message. Offsets are relative to the block's first received byte.
struct Descriptor {
  std::uint32_t slice_offset = 0;
  std::uint32_t slice_bytes = 0;
  std::uint32_t source_slot = 0;
  std::uint32_t message_start = 0;  ///< relative to the slice
  std::int64_t sender_time_ns = kNoTime;
  std::uint16_t procid_back = 0;  ///< PROCID begins this many bytes before the slice
  std::uint16_t msgid_back = 0;   ///< likewise MSGID
  std::uint8_t procid_bytes = 0;
  std::uint8_t msgid_bytes = 0;
  Priority priority;
  RecordFlags flags;  ///< and kSync

  [[nodiscard]] bool sync() const { return (flags.bits & kSync) != 0; }
  [[nodiscard]] RecordFlags stored_flags() const {
    return RecordFlags{static_cast<std::uint8_t>(flags.bits & RecordFlags::kStoredMask)};
  }
};
static_assert(sizeof(Descriptor) == 32);

/// The fixed part of a SourceDefinition entry, directly behind its EntryHeader; host and identifier follow.
struct SourceFields {
  std::uint32_t slot = 0;
  Transport transport = Transport::unknown;
  std::uint8_t host_bytes = 0;
  std::uint16_t identifier_bytes = 0;
  std::uint32_t uid = kUnknownId;
  std::uint32_t gid = kUnknownId;
  std::uint32_t pid = kUnknownId;
  std::uint32_t zero = 0;
};
static_assert(sizeof(SourceFields) == 24);

[[nodiscard]] constexpr std::size_t align8(std::size_t n) {
  return (n + 7) & ~std::size_t{7};
}

/// Ring bytes a block of `payload_bytes` with `descriptors` messages takes.
[[nodiscard]] constexpr std::size_t block_bytes(std::size_t payload_bytes, std::size_t descriptors) {
  return sizeof(EntryHeader) + align8(payload_bytes) + descriptors * sizeof(Descriptor);
}
[[nodiscard]] constexpr std::size_t source_definition_bytes(const SourceView& source) {
  return sizeof(EntryHeader) + sizeof(SourceFields) + align8(source.host.size() + source.identifier.size());
}

/// A view of one entry inside a peeked span. The writer is a thread of ours: sizes are CHECKed, not doubted.
class EntryView {
 public:
  /// `bytes` starts at an entry; it may hold more behind it.
  explicit EntryView(std::span<const std::byte> bytes);

  [[nodiscard]] const EntryHeader& header() const { return header_; }
  [[nodiscard]] std::size_t entry_bytes() const { return header_.entry_bytes; }
  [[nodiscard]] const char* payload() const {
    return reinterpret_cast<const char*>(at_ + sizeof(EntryHeader));
  }
  /// Numbered or not.
  [[nodiscard]] bool is_block() const { return header_.kind == EntryKind::block || is_numbered(); }
  [[nodiscard]] bool is_numbered() const {
    return header_.kind == EntryKind::numbered_block || header_.kind == EntryKind::lent_block;
  }
  /// What of it is not stored is not lost: the daemon that comes next finds it where this one did.
  [[nodiscard]] bool is_lent() const { return header_.kind == EntryKind::lent_block; }
  /// Block only.
  [[nodiscard]] std::span<const Descriptor> descriptors() const;
  /// Block only: of its first message; of no client if nobody numbers them.
  [[nodiscard]] Numbering numbering() const;
  /// SourceDefinition only; views into the ring.
  [[nodiscard]] std::uint32_t source_slot() const;
  [[nodiscard]] SourceView source() const;

 private:
  const std::byte* at_;
  EntryHeader header_;
};

/// Writes a SyncRequest; `to` holds sizeof(EntryHeader) bytes.
void write_sync_request(std::byte* to);

/// Writes a SourceDefinition; `to` holds source_definition_bytes(source). Host and identifier within limits.
void write_source_definition(std::uint32_t slot, const SourceView& source, std::byte* to);

/// What an io thread could not put into the ring, per ring. The io thread counts; the appender reads each
/// cycle and turns growth into a GAP. Loss before receipt (kernel, client) is kept apart from what the daemon
/// dropped itself.
enum class LossReason : std::uint8_t {
  none,
  kernel_udp,          ///< before receipt: the socket's buffer was full (SO_RXQ_OVFL)
  client,              ///< before receipt: the client says it dropped
  ring_full,           ///< received as a datagram that could not wait
  shutdown,            ///< still unread or unfinished when the drain's bound ran out
  segment_full,        ///< the stream's when_full policy is drop-newest and no space was left
  sender_error,        ///< refused content of a peer that was closed
  damaged,             ///< recovery set bytes aside
  retention,           ///< a reader was overtaken: never counted as dropped
  durability_unknown,  ///< a sync failed: the records may be there or not; never counted as dropped
};
inline constexpr std::size_t kLossReasons = 10;
[[nodiscard]] std::string_view loss_reason_name(LossReason reason);
/// Of a reason that was read: a later version's is shown by its number.
[[nodiscard]] std::string stored_reason_name(LossReason reason);

/// One per ring. Counters are written by the io thread only.
struct RingLoss {
  std::array<Counter, kLossReasons> by_reason;
};

}  // namespace fastlogd::ingress
