#include "record/ingress.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace fastlogd::ingress {

EntryView::EntryView(std::span<const std::byte> bytes) : at_(bytes.data()) {
  FASTLOGD_CHECK(bytes.size() >= sizeof(EntryHeader));
  std::memcpy(&header_, at_, sizeof header_);
  FASTLOGD_CHECK(header_.entry_bytes % 8 == 0 && header_.entry_bytes <= bytes.size());
  const std::size_t behind = is_numbered() ? sizeof(Numbering) : 0;
  FASTLOGD_CHECK(!is_block() || header_.entry_bytes ==
                                    block_bytes(header_.payload_bytes, header_.descriptor_count) + behind);
}

Numbering EntryView::numbering() const {
  Numbering numbering;
  if (!is_numbered()) return numbering;
  std::memcpy(&numbering, at_ + header_.entry_bytes - sizeof numbering, sizeof numbering);
  return numbering;
}

std::span<const Descriptor> EntryView::descriptors() const {
  const auto* first =
      reinterpret_cast<const Descriptor*>(at_ + sizeof(EntryHeader) + align8(header_.payload_bytes));
  return {first, header_.descriptor_count};
}

std::uint32_t EntryView::source_slot() const {
  SourceFields fields;
  std::memcpy(&fields, at_ + sizeof(EntryHeader), sizeof fields);
  return fields.slot;
}

SourceView EntryView::source() const {
  SourceFields fields;
  std::memcpy(&fields, at_ + sizeof(EntryHeader), sizeof fields);
  FASTLOGD_CHECK(header_.payload_bytes == fields.host_bytes + std::size_t{fields.identifier_bytes});
  const char* text = payload() + sizeof fields;
  return SourceView{.transport = fields.transport,
                    .uid = fields.uid,
                    .gid = fields.gid,
                    .pid = fields.pid,
                    .host = std::string_view(text, fields.host_bytes),
                    .identifier = std::string_view(text + fields.host_bytes, fields.identifier_bytes)};
}

void write_sync_request(std::byte* to) {
  const EntryHeader header{.entry_bytes = sizeof(EntryHeader), .kind = EntryKind::sync_request};
  std::memcpy(to, &header, sizeof header);
}

void write_source_definition(std::uint32_t slot, const SourceView& source, std::byte* to) {
  FASTLOGD_CHECK(source.host.size() <= limits::kHostBytesMax &&
                 source.identifier.size() <= limits::kIdentifierBytesMax);
  const std::size_t total = source_definition_bytes(source);
  std::memset(to + total - 8, 0, 8);
  const EntryHeader header{
      .entry_bytes = static_cast<std::uint32_t>(total),
      .kind = EntryKind::source_definition,
      .payload_bytes = static_cast<std::uint32_t>(source.host.size() + source.identifier.size())};
  const SourceFields fields{.slot = slot,
                            .transport = source.transport,
                            .host_bytes = static_cast<std::uint8_t>(source.host.size()),
                            .identifier_bytes = static_cast<std::uint16_t>(source.identifier.size()),
                            .uid = source.uid,
                            .gid = source.gid,
                            .pid = source.pid};
  std::memcpy(to, &header, sizeof header);
  std::memcpy(to + sizeof header, &fields, sizeof fields);
  // std::copy and not memcpy: an empty view may hold a null pointer.
  auto* text = reinterpret_cast<char*>(to + sizeof header + sizeof fields);
  text = std::copy(source.host.begin(), source.host.end(), text);
  std::copy(source.identifier.begin(), source.identifier.end(), text);
}

std::string_view loss_reason_name(LossReason reason) {
  switch (reason) {
    case LossReason::none:
      return "none";
    case LossReason::kernel_udp:
      return "kernel_udp";
    case LossReason::client:
      return "client";
    case LossReason::ring_full:
      return "ring_full";
    case LossReason::shutdown:
      return "shutdown";
    case LossReason::segment_full:
      return "segment_full";
    case LossReason::sender_error:
      return "sender_error";
    case LossReason::damaged:
      return "damaged";
    case LossReason::retention:
      return "retention";
    case LossReason::durability_unknown:
      return "durability_unknown";
  }
  return "unknown";
}

std::string stored_reason_name(LossReason reason) {
  const auto number = static_cast<std::size_t>(reason);
  return number < kLossReasons ? std::string(loss_reason_name(reason)) : std::to_string(number);
}

}  // namespace fastlogd::ingress
