// Talks to a running daemon: HTTP over its control socket.
#pragma once

#include <chrono>
#include <string>

#include "ctl/target.hpp"

namespace fastlogd::ctl {

struct ControlReply {
  unsigned status = 0;
  std::string body;  ///< JSON
};

/// A reload waits for what it has to open; a sync for the disk.
inline constexpr std::chrono::seconds kControlTimeout{60};

/// The daemon's control socket: --socket, or where the configuration says.
[[nodiscard]] std::string control_socket_path(const TargetOptions& options);

/// One request, one connection. `target` is path and query. Throws Failure(nothing_found) when nobody answers there.
[[nodiscard]] ControlReply control_request(const std::string& socket_path, const std::string& method,
                                           const std::string& target);

/// `text` as it may stand in a query (RFC 3986 section 2.1).
[[nodiscard]] std::string percent_encoded(const std::string& text);

}  // namespace fastlogd::ctl
