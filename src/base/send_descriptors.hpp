// File descriptors to another process.
#pragma once

#include <array>
#include <string_view>

namespace fastlogd {

/// Sends these bytes over a connected Unix socket with copies of both descriptors, in one message, and never waits. Any
/// thread. False: the socket has no room for all of it, or the other end is gone; errno says which.
[[nodiscard]] bool send_descriptors(int socket, std::string_view bytes,
                                    const std::array<int, 2>& descriptors);

}  // namespace fastlogd
