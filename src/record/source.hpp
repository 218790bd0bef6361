// Who sent a record.
#pragma once

#include <cstdint>
#include <string_view>

namespace fastlogd {

enum class Transport : std::uint8_t {
  unknown,
  unix_stream,
  unix_datagram,
  tcp,
  udp,
  shared_memory,
  internal
};

[[nodiscard]] std::string_view transport_name(Transport transport);

inline constexpr std::uint32_t kUnknownId = 0xffffffff;  // no uid, gid or pid attested

/// A view: host and identifier point into whatever the source was read from (a packet, a frame, a table's
/// slot). uid, gid and pid are attested by the kernel or kUnknownId; host and identifier are claims of the
/// sender.
struct SourceView {
  Transport transport = Transport::unknown;
  std::uint32_t uid = kUnknownId;
  std::uint32_t gid = kUnknownId;
  std::uint32_t pid = kUnknownId;
  std::string_view host;
  std::string_view identifier;

  friend bool operator==(const SourceView&, const SourceView&) = default;
};

}  // namespace fastlogd
