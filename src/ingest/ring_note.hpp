// What a daemon writes down about a ring in shared memory, for the daemon that comes after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "record/client_numbers.hpp"
#include "record/source.hpp"

namespace fastlogd::ingest {

/// Whose ring it is and where its records go. Views.
struct RingNote {
  ClientKey client;
  std::uint32_t gid = kUnknownId;
  std::uint32_t pid = kUnknownId;
  std::string_view listener;
  std::string_view stream;
  std::string_view identifier;
  std::string_view host;

  friend bool operator==(const RingNote&, const RingNote&) = default;
};

/// False: it doesn't fit, nothing was written.
[[nodiscard]] bool write_ring_note(std::span<std::byte> to, const RingNote& note);

/// Errors: no such note, or another version's. The views point into `from`.
[[nodiscard]] Result<RingNote> read_ring_note(std::span<const std::byte> from);

}  // namespace fastlogd::ingest
