// Talks to a running daemon: HTTP over its control socket.
#pragma once

#include <chrono>
#include <string>

#include "ctl/failure.hpp"

namespace fastlogd::ctl {

struct ControlReply {
  unsigned status = 0;
  std::string body;  ///< JSON
};

/// A reload waits for what it has to open; a sync for the disk.
inline constexpr std::chrono::seconds kControlTimeout{60};

/// Nobody listens there, or nothing came back.
class NoAnswer : public Failure {
 public:
  explicit NoAnswer(const std::string& what) : Failure(ExitCode::nothing_found, what) {}
};

/// One request, one connection. `target` is path and query. Throws NoAnswer, or Failure(usage) if this user may not
/// open the socket: then nobody knows whether a daemon runs.
[[nodiscard]] ControlReply control_request(const std::string& socket_path, const std::string& method,
                                           const std::string& target);

/// GET /status. Throws as control_request(), or Failure(nothing_found) if the answer is not 200.
[[nodiscard]] std::string ask_status(const std::string& socket_path);

/// `text` as it may stand in a query (RFC 3986 section 2.1).
[[nodiscard]] std::string percent_encoded(const std::string& text);

}  // namespace fastlogd::ctl
