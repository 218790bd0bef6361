#include "ingest/block_writer.hpp"

#include <cstring>
#include <new>

namespace fastlogd::ingest {
namespace {

/// How far before the slice a header field begins. Fields stand in the header, before the slice; one that is
/// out of a descriptor's reach is left out.
std::uint16_t back_offset(const char* slice, std::string_view field) {
  if (field.empty() || field.data() > slice || slice - field.data() > 0xffff) return 0;
  return static_cast<std::uint16_t>(slice - field.data());
}

wire::ParsedMessage whole_and_malformed() {
  wire::ParsedMessage message;
  message.flags.bits = static_cast<std::uint8_t>(RecordFormat::raw) | RecordFlags::kMalformed;
  return message;
}

}  // namespace

BlockWriter::BlockWriter(ring::ByteRing& ring, std::size_t source_slots)
    : ring_(&ring),
      sources_(source_slots),
      definitions_(std::make_unique<std::byte[]>(kDefinitionBytesMax)) {}

std::size_t BlockWriter::payload_bytes_max(std::size_t messages) const {
  return ring_->reserve_bytes_max() - reservation(0, messages);
}

bool BlockWriter::begin(std::size_t payload_bytes_max, std::size_t messages_max) {
  const std::span<std::byte> room = ring_->reserve(reservation(payload_bytes_max, messages_max));
  if (room.empty()) return false;
  base_ = room.data();
  messages_max_ = messages_max;
  payload_bytes_ = messages_ = definition_bytes_ = 0;
  truncated_ = malformed_ = 0;
  unnamed_slot_.reset();
  numbering_ = {};
  lent_ = false;
  sources_.begin_block();
  return true;
}

bool BlockWriter::has_space(std::size_t payload_bytes_max, std::size_t messages_max) const {
  return ring_->has_space(reservation(payload_bytes_max, messages_max));
}

void BlockWriter::received(std::size_t payload_bytes, std::int64_t now_ns, std::int32_t utc_offset_seconds,
                           bool host_expected) {
  payload_bytes_ = payload_bytes;
  now_ns_ = now_ns;
  context_ = wire::ParseContext(now_ns, utc_offset_seconds, host_expected);
  const std::size_t padded = ingress::align8(payload_bytes);
  std::memset(payload() + payload_bytes, 0, padded - payload_bytes);
}

bool BlockWriter::parse_and_add(std::string_view message, bool truncated, bool malformed,
                                const MessageOrigin& origin, SourceHint& hint) {
  wire::ParsedMessage parsed =
      malformed ? whole_and_malformed() : wire::parse_message(message, origin.format, context_);
  if (truncated) parsed.flags.bits |= RecordFlags::kTruncated;
  return add_parsed(message, parsed, origin, hint);
}

bool BlockWriter::add_parsed(std::string_view message, const wire::ParsedMessage& parsed,
                             const MessageOrigin& origin, SourceHint& hint) {
  if (messages_ == messages_max_) return false;
  const std::optional<SourceTable::Slot> slot = slot_of(parsed, origin, hint);
  if (!slot) return false;

  const RecordFlags flags = parsed.flags;
  truncated_ += flags.truncated() ? 1 : 0;
  malformed_ += flags.malformed() ? 1 : 0;
  const char* slice = message.data() + parsed.slice_offset;
  const std::uint16_t procid_back = back_offset(slice, parsed.procid);
  const std::uint16_t msgid_back = back_offset(slice, parsed.msgid);
  put({
      .slice_offset = static_cast<std::uint32_t>(slice - payload()),
      .slice_bytes = static_cast<std::uint32_t>(message.size() - parsed.slice_offset),
      .source_slot = *slot,
      .message_start = parsed.message_start,
      .sender_time_ns = parsed.sender_time_ns,
      .procid_back = procid_back,
      .msgid_back = msgid_back,
      .procid_bytes = static_cast<std::uint8_t>(procid_back == 0 ? 0 : parsed.procid.size()),
      .msgid_bytes = static_cast<std::uint8_t>(msgid_back == 0 ? 0 : parsed.msgid.size()),
      .priority = parsed.priority,
      .flags = flags,
  });
  return true;
}

bool BlockWriter::add_first_unnamed(std::string_view slice, const Unnamed& message,
                                    const MessageOrigin& origin, SourceHint& hint) {
  return add_parsed(slice,
                    {.priority = message.priority,
                     .flags = message.flags,
                     .message_start = message.message_start,
                     .sender_time_ns = message.sender_time_ns},
                    origin, hint);
}

std::optional<SourceTable::Slot> BlockWriter::slot_of(const wire::ParsedMessage& parsed,
                                                      const MessageOrigin& origin, SourceHint& hint) {
  const bool unnamed = origin.of_whole_block && parsed.host.empty() && parsed.identifier.empty();
  if (unnamed && unnamed_slot_) return unnamed_slot_;
  SourceView source = origin.attested;
  if (!parsed.host.empty()) source.host = parsed.host;
  if (!parsed.identifier.empty()) {
    source.identifier = parsed.identifier;
  } else if (source.identifier.empty() && origin.process_names != nullptr && source.pid != kUnknownId) {
    source.identifier = origin.process_names->name_of(source.pid, now_ns_);
  }
  const std::optional<SourceTable::Slot> slot = find_or_define(source, hint);
  if (unnamed) unnamed_slot_ = slot;
  return slot;
}

std::optional<SourceTable::Slot> BlockWriter::find_or_define(const SourceView& source, SourceHint& hint) {
  if (!sources_.holds(hint.slot, source)) {
    std::optional<SourceTable::Slot> slot = sources_.find(source);
    if (!slot) {
      const std::size_t bytes = ingress::source_definition_bytes(source);
      if (definition_bytes_ + bytes > kDefinitionBytesMax) return std::nullopt;
      slot = sources_.define(source);
      if (!slot) return std::nullopt;
      ingress::write_source_definition(*slot, source, definitions_.get() + definition_bytes_);
      definition_bytes_ += bytes;
    }
    hint.slot = *slot;
  }
  sources_.use(hint.slot);
  return hint.slot;
}

// Walk 4 ring
void BlockWriter::commit(ListenerCounters& counters) {
  if (messages_ == 0) {
    ring_->commit(0);
    return;
  }
  counters.received_records.add(messages_);
  if (truncated_ > 0) counters.truncated_records.add(truncated_);
  if (malformed_ > 0) counters.malformed_records.add(malformed_);
  const std::size_t plain_bytes = ingress::block_bytes(payload_bytes_, messages_);
  const bool numbered = !numbering_.client.is_none();
  if (numbered) std::memcpy(base_ + plain_bytes, &numbering_, sizeof numbering_);
  const std::size_t block_bytes = plain_bytes + (numbered ? sizeof numbering_ : 0);
  const ingress::EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(block_bytes),
                                    .kind = !numbered ? ingress::EntryKind::block
                                            : lent_   ? ingress::EntryKind::lent_block
                                                      : ingress::EntryKind::numbered_block,
                                    .payload_bytes = static_cast<std::uint32_t>(payload_bytes_),
                                    .descriptor_count = static_cast<std::uint32_t>(messages_),
                                    .receive_time_ns = now_ns_};
  std::memcpy(base_, &header, sizeof header);
  ring_->commit(put_definitions_first(block_bytes));
  dirty_ = true;
}

bool BlockWriter::request_sync() {
  const std::span<std::byte> room = ring_->reserve(sizeof(ingress::EntryHeader));
  if (room.empty()) return false;
  ingress::write_sync_request(room.data());
  ring_->commit(room.size());
  dirty_ = true;
  return true;
}

std::size_t BlockWriter::put_definitions_first(std::size_t block_bytes) {
  if (definition_bytes_ == 0) return block_bytes;
  std::memmove(base_ + definition_bytes_, base_, block_bytes);
  std::memcpy(base_, definitions_.get(), definition_bytes_);
  return definition_bytes_ + block_bytes;
}

}  // namespace fastlogd::ingest
