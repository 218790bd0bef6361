// Builds ring blocks: received bytes, one descriptor per message, and the definitions of new senders before
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "base/limits.hpp"
#include "ingest/ingest_counters.hpp"
#include "ingest/process_names.hpp"
#include "ingest/source_table.hpp"
#include "record/ingress.hpp"
#include "ring/byte_ring.hpp"
#include "wire/syslog.hpp"

namespace fastlogd::ingest {

/// What is known of a message's sender before its header is read.
struct MessageOrigin {
  SourceView attested;  ///< transport, uid, gid, pid; host and identifier if the message names none
  wire::MessageFormat format = wire::MessageFormat::automatic;
  ProcessNames* process_names =
      nullptr;                  ///< asked by attested pid if nobody names an identifier; may be null
  bool of_whole_block = false;  ///< every message of a block has this origin, unchanged
};

/// A sender's last slot, kept by its session: most senders repeat themselves.
struct SourceHint {
  SourceTable::Slot slot = 0;
};

/// The write end of one ring. One block at a time:
///
///     if (!writer.begin(room, messages)) ...the ring is full: stop reading...
///     n = recv(fd, writer.payload(), room);
///     writer.received(n, now, utc_offset_seconds, host_expected);
///     for each message in payload(): if (!writer.add(...)) ...the block is full: keep the rest for the
///     next... writer.commit(counters);
///
/// A new sender's definition must come before the block that uses it, but is only known once the block's
/// messages are parsed. Definitions are collected aside; commit moves the finished block behind them (offsets
/// are relative to the block, so it can be moved) and hands both over with one release store. Senders are
/// seldom new.
///
/// Thread: one io thread.
class BlockWriter {
 public:
  explicit BlockWriter(ring::ByteRing& ring, std::size_t source_slots = limits::kSourcesPerThreadMax);

  /// The most payload bytes a block can have beside `messages` descriptors.
  [[nodiscard]] std::size_t payload_bytes_max(std::size_t messages) const;

  /// Reserves room. False: the ring is too full now; has_space() tells when it is worth to try again.
  [[nodiscard]] bool begin(std::size_t payload_bytes_max, std::size_t messages_max);
  [[nodiscard]] bool has_space(std::size_t payload_bytes_max, std::size_t messages_max) const;

  [[nodiscard]] char* payload() const {
    return reinterpret_cast<char*>(base_ + sizeof(ingress::EntryHeader));
  }
  /// The payload is in place. `host_expected`: see wire::ParseContext.
  void received(std::size_t payload_bytes, std::int64_t now_ns, std::int32_t utc_offset_seconds,
                bool host_expected);
  [[nodiscard]] std::int64_t now_ns() const { return now_ns_; }

  /// One message within the payload. `malformed`: the framing says so, keep it as it is. False: the block has
  /// no room for its descriptor or its sender's definition; nothing was added.
  // Walk 3 parser. A line without a header, of the sender that the block already has one of, is done with inline.
  [[nodiscard]] bool add(std::string_view message, bool truncated, bool malformed,
                         const MessageOrigin& origin, SourceHint& hint) {
    if (messages_ == messages_max_) return false;
    if (unnamed_slot_ && !truncated && !malformed) {
      if (const auto flags = wire::kept_whole(message, origin.format)) {
        put_unnamed(message, {.flags = *flags});
        return true;
      }
    }
    return parse_and_add(message, truncated, malformed, origin, hint);
  }
  /// The same for a message whose header is known already: `parsed`. Its flags may hold ingress::kSync.
  [[nodiscard]] bool add_parsed(std::string_view message, const wire::ParsedMessage& parsed,
                                const MessageOrigin& origin, SourceHint& hint);
  /// What is known of a message that says neither a host nor an identifier.
  struct Unnamed {
    Priority priority;
    RecordFlags flags;
    std::uint32_t message_start = 0;
    std::int64_t sender_time_ns = kNoTime;
  };
  /// The same for such a message; inline where the block has one of its sender already.
  [[nodiscard]] bool add_unnamed(std::string_view slice, const Unnamed& message, const MessageOrigin& origin,
                                 SourceHint& hint) {
    if (!unnamed_slot_) return add_first_unnamed(slice, message, origin, hint);
    if (messages_ == messages_max_) return false;
    put_unnamed(slice, message);
    return true;
  }
  [[nodiscard]] std::size_t messages() const { return messages_; }
  /// The block's first message is that number of a client's own, and those that follow are numbered on. Once a block, of
  /// which all messages are the client's.
  void number(const Numbering& numbering) { numbering_ = numbering; }
  /// And keeps them until they are published. Behind number().
  void lend() { lent_ = true; }
  /// Descriptors that still fit.
  [[nodiscard]] std::size_t room() const { return messages_max_ - messages_; }

  /// Counts the block's messages as received, then hands it over (in that order: nobody may see a record
  /// stored that has not been received). Without messages the reservation is given up.
  void commit(ListenerCounters& counters);

  /// After commit(): where in the ring the block ends.
  [[nodiscard]] std::uint64_t ring_end() const { return ring_->written(); }

  /// Between blocks: asks that everything handed over so far be synced. False: the ring is full.
  [[nodiscard]] bool request_sync();

  /// Committed, but not yet told to a sleeping appender. publish() ends that.
  [[nodiscard]] bool dirty() const { return dirty_; }
  void publish() {
    ring_->publish();
    dirty_ = false;
  }

 private:
  static constexpr std::size_t kDefinitionBytesMax = 32 * limits::kKiB;  // some 400 new senders per block

  [[nodiscard]] std::size_t reservation(std::size_t payload_bytes, std::size_t messages) const {
    return kDefinitionBytesMax + ingress::block_bytes(payload_bytes, messages) + sizeof(Numbering);
  }
  [[nodiscard]] bool parse_and_add(std::string_view message, bool truncated, bool malformed,
                                   const MessageOrigin& origin, SourceHint& hint);
  [[nodiscard]] bool add_first_unnamed(std::string_view slice, const Unnamed& message,
                                       const MessageOrigin& origin, SourceHint& hint);
  // What add_parsed() does for a message that names nobody.
  void put_unnamed(std::string_view slice, const Unnamed& message) {
    malformed_ += message.flags.malformed() ? 1 : 0;
    put({.slice_offset = static_cast<std::uint32_t>(slice.data() - payload()),
         .slice_bytes = static_cast<std::uint32_t>(slice.size()),
         .source_slot = *unnamed_slot_,
         .message_start = message.message_start,
         .sender_time_ns = message.sender_time_ns,
         .priority = message.priority,
         .flags = message.flags});
  }
  // Inlined, so that it is built in place: a copy right behind the stores of its fields would wait until these have
  // left the store buffer.
  void put(const ingress::Descriptor& descriptor) {
    new (base_ + ingress::block_bytes(payload_bytes_, messages_)) ingress::Descriptor(descriptor);
    ++messages_;
  }
  [[nodiscard]] std::optional<SourceTable::Slot> slot_of(const wire::ParsedMessage& parsed,
                                                         const MessageOrigin& origin, SourceHint& hint);
  [[nodiscard]] std::optional<SourceTable::Slot> find_or_define(const SourceView& source, SourceHint& hint);
  [[nodiscard]] std::size_t put_definitions_first(std::size_t block_bytes);

  ring::ByteRing* ring_;
  SourceTable sources_;
  std::unique_ptr<std::byte[]> definitions_;
  std::size_t definition_bytes_ = 0;
  std::byte* base_ = nullptr;  // the reserved span's start: the block's header
  std::size_t payload_bytes_ = 0;
  std::size_t messages_ = 0;
  std::size_t messages_max_ = 0;
  std::uint64_t truncated_ = 0;
  std::uint64_t malformed_ = 0;
  Numbering numbering_;  ///< of this block
  bool lent_ = false;
  std::int64_t now_ns_ = 0;
  wire::ParseContext context_{0, 0, false};
  std::optional<SourceTable::Slot>
      unnamed_slot_;  // of this block's messages that name nobody, if of one origin
  bool dirty_ = false;
};

}  // namespace fastlogd::ingest
