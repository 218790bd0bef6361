#include "ingest/ring_note.hpp"

#include <array>
#include <cstring>

#include "base/limits.hpp"

namespace fastlogd::ingest {
namespace {

constexpr std::uint32_t kVersion = 0x464c5231;  // "FLR1"
constexpr std::size_t kTexts = 4;

/// In front of the texts, which follow in the order of RingNote.
struct Header {
  std::uint32_t version = kVersion;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  ClientId client{};
  std::array<std::uint16_t, kTexts> bytes{};
};
static_assert(sizeof(Header) == 40);

constexpr std::array<std::string_view RingNote::*, kTexts> kFields = {&RingNote::listener, &RingNote::stream,
                                                                      &RingNote::identifier, &RingNote::host};

}  // namespace

bool write_ring_note(std::span<std::byte> to, const RingNote& note) {
  Header header{.uid = note.client.uid, .gid = note.gid, .pid = note.pid, .client = note.client.id};
  std::size_t end = sizeof header;
  for (std::size_t i = 0; i < kTexts; ++i) {
    const std::size_t bytes = (note.*kFields[i]).size();
    if (bytes > to.size() || end + bytes > to.size()) return false;
    header.bytes[i] = static_cast<std::uint16_t>(bytes);
    end += bytes;
  }
  std::memcpy(to.data(), &header, sizeof header);
  std::size_t at = sizeof header;
  for (const auto field : kFields) {
    const std::string_view text = note.*field;
    if (!text.empty()) std::memcpy(to.data() + at, text.data(), text.size());
    at += text.size();
  }
  return true;
}

Result<RingNote> read_ring_note(std::span<const std::byte> from) {
  Header header;
  if (from.size() < sizeof header) return invalid("too short for a note about a ring");
  std::memcpy(&header, from.data(), sizeof header);
  if (header.version != kVersion) return invalid("no note about a ring, or another version's");
  RingNote note{.client = {.id = header.client, .uid = header.uid}, .gid = header.gid, .pid = header.pid};
  std::size_t at = sizeof header;
  for (std::size_t i = 0; i < kTexts; ++i) {
    if (header.bytes[i] > from.size() - at) return invalid("a note about a ring that is cut off");
    note.*kFields[i] = {reinterpret_cast<const char*>(from.data()) + at, header.bytes[i]};
    at += header.bytes[i];
  }
  if (note.client.is_none() || note.identifier.size() > limits::kIdentifierBytesMax ||
      note.host.size() > limits::kHostBytesMax) {
    return invalid("a note about a ring that says what can't be");
  }
  return note;
}

}  // namespace fastlogd::ingest
