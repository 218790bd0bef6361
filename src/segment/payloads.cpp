#include "segment/payloads.hpp"

#include <cstring>

namespace fastlogd::segment {
namespace {

template <class T>
std::optional<T> decode_exact(std::span<const std::byte> payload) {
  if (payload.size() != sizeof(T)) return std::nullopt;
  T fields;
  std::memcpy(&fields, payload.data(), sizeof fields);
  return fields;
}

}  // namespace

SourceView StoredSource::view() const {
  SourceView view = fields;
  view.host = host;
  view.identifier = identifier;
  return view;
}

std::optional<OpenPayload> decode_open(std::span<const std::byte> payload) {
  const auto fields = decode_exact<OpenPayload>(payload);
  if (!fields || fields->first_sequence == 0) return std::nullopt;
  return fields;
}

std::optional<CheckpointPayload> decode_checkpoint(std::span<const std::byte> payload) {
  return decode_exact<CheckpointPayload>(payload);
}

std::optional<DecodedIndex> decode_index(std::span<const std::byte> payload, std::uint64_t frame_offset) {
  DecodedIndex index;
  if (payload.size() < sizeof index.head) return std::nullopt;
  std::memcpy(&index.head, payload.data(), sizeof index.head);
  const auto entries = payload.subspan(sizeof index.head);
  if (entries.empty() || entries.size() % sizeof(IndexEntry) != 0) return std::nullopt;
  if (index.head.previous_index_offset >= frame_offset) return std::nullopt;
  index.entries.resize(entries.size() / sizeof(IndexEntry));
  std::memcpy(index.entries.data(), entries.data(), entries.size());
  IndexEntry before{.sequence = 0, .time_ns = INT64_MIN, .offset = kHeaderBytes - 1};
  for (const IndexEntry& entry : index.entries) {
    const bool in_place =
        entry.offset > before.offset && entry.offset < frame_offset && entry.offset % 8 == 0;
    if (!in_place || entry.sequence <= before.sequence || entry.time_ns < before.time_ns) return std::nullopt;
    before = entry;
  }
  return index;
}

std::optional<SealPayload> decode_seal(std::span<const std::byte> payload) {
  return decode_exact<SealPayload>(payload);
}

std::optional<Numbering> decode_numbers(std::span<const std::byte> payload) {
  const auto fields = decode_exact<NumbersPayload>(payload);
  // The same bounds as the native protocol's, so that counting on can't wrap.
  if (!fields || fields->numbering.first > std::uint64_t{1} << 63) return std::nullopt;
  if (!fields->numbering.client.is_none() && fields->numbering.first == 0) return std::nullopt;
  return fields->numbering;
}

std::optional<Gap> decode_gap(std::span<const std::byte> payload) {
  const auto fields = decode_exact<GapPayload>(payload);
  constexpr std::uint64_t kReasonMax = 255;  // later minor versions may bring some that we don't know
  if (!fields || fields->reason > kReasonMax || fields->last_sequence < fields->first_sequence) {
    return std::nullopt;
  }
  return Gap{.reason = static_cast<ingress::LossReason>(fields->reason),
             .count = fields->count,
             .first = Sequence{fields->first_sequence},
             .last = Sequence{fields->last_sequence},
             .from_ns = fields->from_ns,
             .to_ns = fields->to_ns};
}

GapPayload encode_gap(const Gap& gap) {
  return GapPayload{.reason = static_cast<std::uint64_t>(gap.reason),
                    .count = gap.count,
                    .first_sequence = gap.first.value,
                    .last_sequence = gap.last.value,
                    .from_ns = gap.from_ns,
                    .to_ns = gap.to_ns};
}

std::optional<DecodedSource> decode_source(std::span<const std::byte> payload) {
  SourcePayload fields;
  if (payload.size() < sizeof fields) return std::nullopt;
  std::memcpy(&fields, payload.data(), sizeof fields);
  const auto text = payload.subspan(sizeof fields);
  if (text.size() != std::size_t{fields.host_bytes} + fields.identifier_bytes) return std::nullopt;
  const auto* chars = reinterpret_cast<const char*>(text.data());
  DecodedSource decoded;
  decoded.previous_source_offset = fields.previous_source_offset;
  decoded.source.fields = SourceView{.transport = fields.transport,
                                     .uid = fields.uid,
                                     .gid = fields.gid,
                                     .pid = fields.pid,
                                     .host = {},
                                     .identifier = {}};
  decoded.source.host.assign(chars, fields.host_bytes);
  decoded.source.identifier.assign(chars + fields.host_bytes, fields.identifier_bytes);
  return decoded;
}

}  // namespace fastlogd::segment
