// The message of a datagram.
#pragma once

#include <optional>
#include <string_view>

namespace fastlogd::wire {

/// A datagram is one message; one trailing LF or NUL is not part of it (Python's SysLogHandler appends a
/// NUL). An empty datagram carries no message: journald's clients send those with a memfd that nobody asked
/// for. A lone LF or NUL is an empty message.
[[nodiscard]] constexpr std::optional<std::string_view> datagram_message(std::string_view datagram) {
  if (datagram.empty()) return std::nullopt;
  if (datagram.back() == '\n' || datagram.back() == '\0') datagram.remove_suffix(1);
  return datagram;
}

}  // namespace fastlogd::wire
