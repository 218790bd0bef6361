// What the frames that are not DATA carry. Fixed little-endian structs; a SOURCE has its two strings behind
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "record/client_numbers.hpp"
#include "record/source.hpp"
#include "segment/format.hpp"
#include "segment/gap.hpp"

namespace fastlogd::segment {

/// `failed`: a sync or a store of an earlier segment failed. What lies between the OPEN's durable position and its
/// segment may not be on disk; nothing of it was acknowledged as durable.
enum class OpenReason : std::uint64_t { start = 1, roll = 2, clock = 3, rotate = 4, failed = 5 };

/// First frame of a segment in use: what was not known when the file was prepared.
struct OpenPayload {
  std::uint64_t first_sequence;
  Uuid previous_uuid;  ///< zero: there is none
  std::uint64_t previous_end_offset;
  std::uint64_t previous_last_sequence;
  std::uint64_t durable_position;  ///< known durable when this was written
  std::uint64_t epoch;
  OpenReason reason;
};
static_assert(sizeof(OpenPayload) == 64);

/// First frame of every 1 MiB block but the first: lets a reader start in the middle.
struct CheckpointPayload {
  std::uint64_t durable_position;
  std::uint64_t last_source_offset;  ///< 0: no SOURCE yet
  std::uint64_t record_count;        ///< DATA frames before this one in the segment
};
static_assert(sizeof(CheckpointPayload) == 24);

struct SourcePayload {
  std::uint64_t previous_source_offset;  ///< chained backwards, 0 ends
  Transport transport;
  std::uint8_t host_bytes;
  std::uint16_t identifier_bytes;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t pid;
};
static_assert(sizeof(SourcePayload) == 24);

struct GapPayload {
  std::uint64_t reason;
  std::uint64_t count;
  std::uint64_t first_sequence;
  std::uint64_t last_sequence;
  std::int64_t from_ns;
  std::int64_t to_ns;
};
static_assert(sizeof(GapPayload) == 48);

/// Derived data: finds a record by sequence or time without reading what lies before it. Entries follow.
struct IndexPayload {
  std::uint64_t previous_index_offset;  ///< chained backwards, 0 ends
  std::uint64_t last_source_offset;     ///< 0: no SOURCE yet
};
static_assert(sizeof(IndexPayload) == 16);

/// The first DATA frame that begins at or behind a multiple of kIndexStepBytes.
struct IndexEntry {
  std::uint64_t sequence;
  std::int64_t time_ns;
  std::uint64_t offset;

  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};
static_assert(sizeof(IndexEntry) == 24);

/// Last frame of a segment that was left in order.
struct SealPayload {
  std::uint64_t last_sequence;
  std::uint64_t record_count;
  std::uint64_t last_source_offset;
  std::uint64_t next_index;  ///< 0: the log was closed
};
static_assert(sizeof(SealPayload) == 32);

/// The records behind it, up to the next such frame or the end of the segment, have the client's own numbers from
/// numbering.first on; all before that number is in the log or was refused. Without a client: nobody numbers them.
struct NumbersPayload {
  Numbering numbering;
};
static_assert(sizeof(NumbersPayload) == 32);

/// Owns what a SourceView points to.
struct StoredSource {
  SourceView fields;  ///< host and identifier are empty here
  std::string host;
  std::string identifier;

  [[nodiscard]] SourceView view() const;
};

/// Each returns nothing if the payload has the wrong size or impossible values.
[[nodiscard]] std::optional<OpenPayload> decode_open(std::span<const std::byte> payload);
[[nodiscard]] std::optional<CheckpointPayload> decode_checkpoint(std::span<const std::byte> payload);
[[nodiscard]] std::optional<SealPayload> decode_seal(std::span<const std::byte> payload);
[[nodiscard]] std::optional<Numbering> decode_numbers(std::span<const std::byte> payload);
[[nodiscard]] std::optional<Gap> decode_gap(std::span<const std::byte> payload);
struct DecodedIndex {
  IndexPayload head{};
  std::vector<IndexEntry> entries;
};
/// Of the frame at `frame_offset`. Nothing also if the entries are not in order or don't lie in front of it: what
/// they say is still to be checked against the frames.
[[nodiscard]] std::optional<DecodedIndex> decode_index(std::span<const std::byte> payload,
                                                       std::uint64_t frame_offset);
struct DecodedSource {
  StoredSource source;
  std::uint64_t previous_source_offset = 0;
};
[[nodiscard]] std::optional<DecodedSource> decode_source(std::span<const std::byte> payload);

[[nodiscard]] GapPayload encode_gap(const Gap& gap);

}  // namespace fastlogd::segment
