// What a connection has sent and nobody will read any more.
#pragma once

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {

/// Bytes in the socket now.
[[nodiscard]] inline std::size_t queued_bytes(int fd) {
  int queued = 0;
  return ::ioctl(fd, FIONREAD, &queued) == 0 ? static_cast<std::size_t>(queued) : 0;
}

/// Receives what the socket holds, `bytes_max` bytes at most, behind `text`: to be counted, not to be stored. `take` gets what
/// has come so far, and says how much of it is done with. Returns the rest.
template <class Take>
[[nodiscard]] std::string take_unread(int fd, std::size_t bytes_max, std::string text, Take take) {
  while (true) {
    text.erase(0, take(text));
    const std::size_t before = text.size();
    const std::size_t room = std::min(bytes_max, limits::kReadBytes);
    if (room == 0) return text;
    text.resize(before + room);
    const ssize_t n = ::recv(fd, text.data() + before, room, MSG_DONTWAIT);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    bytes_max -= static_cast<std::size_t>(n);
  }
}

/// Of a native peer's bytes: calls `greeted(hello)` and, for each record, `lost(number)`. Returns how many bytes are done with.
template <class Greeted, class Lost>
std::size_t count_records(wire::NativeDecoder& decoder, std::string_view text, Greeted greeted, Lost lost) {
  using Kind = wire::NativeEvent::Kind;
  wire::NativeEvent event;
  std::string_view rest = text;
  for (; decoder.next(rest, event); rest.remove_prefix(event.consumed)) {
    if (event.kind == Kind::error) return text.size();
    if (event.kind == Kind::hello) greeted(event.hello);
    if (event.kind == Kind::record) lost(event.record.number);
    if (event.kind == Kind::refused) lost(event.number);
  }
  return text.size() - rest.size() + event.consumed;
}

}  // namespace fastlogd::ingest
