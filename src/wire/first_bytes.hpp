// Peers that don't speak syslog at all, told by the first bytes they send, so that they are refused once and
// clearly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fastlogd::wire {

enum class FirstBytes : std::uint8_t {
  text,       ///< go on
  undecided,  ///< too few bytes to tell: ask again with more; at the end of the stream it is text
  tls,        ///< a TLS hello on a plain port
  gzip,       ///< a raw gzip stream
  zlib,       ///< a raw zlib stream
  pickle,     ///< Python's logging.handlers.SocketHandler
};

inline constexpr std::size_t kFirstBytesKinds = 6;
inline constexpr std::size_t kFirstBytes = 6;  ///< more are never looked at

/// Looks at the first bytes of a connection or datagram. A text that could be meant is always let through.
[[nodiscard]] FirstBytes classify_first_bytes(std::string_view bytes);

/// Why such a peer is refused, for the diagnostics; empty for text and undecided.
[[nodiscard]] std::string_view refusal_text(FirstBytes kind);

}  // namespace fastlogd::wire
