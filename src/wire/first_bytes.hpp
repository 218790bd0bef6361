// What a connection speaks, told by the first bytes that are sent: text, the native protocol, or something that is
// refused once and clearly.
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
  native,     ///< the native protocol's magic (native_format.hpp)
};

inline constexpr std::size_t kFirstBytesKinds = 7;
inline constexpr std::size_t kFirstBytes = 8;  ///< more are never looked at

/// Looks at the first bytes of a connection or datagram. A text that could be meant is always let through.
[[nodiscard]] FirstBytes classify_first_bytes(std::string_view bytes);

/// Why such a peer is refused (native: where text alone is taken), for the diagnostics; empty for text and undecided.
[[nodiscard]] std::string_view refusal_text(FirstBytes kind);

}  // namespace fastlogd::wire
