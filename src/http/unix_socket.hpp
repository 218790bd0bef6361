// The control socket's file and its peers.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "http/server.hpp"

namespace fastlogd::http {

/// Binds a Unix stream socket and listens. The file gets `mode` before anybody can connect. A stale socket
/// file is replaced if nobody answers on it; if somebody does, or the path is not a socket, the error says
/// so.
[[nodiscard]] Result<UniqueFd> bind_unix(const std::string& path, mode_t mode);

/// Of the connected peer of `fd`.
[[nodiscard]] Result<PeerCredentials> peer_credentials(int fd);

/// Root, this process's own user, or a member of this process's group.
[[nodiscard]] bool may_control(const PeerCredentials& peer);

}  // namespace fastlogd::http
