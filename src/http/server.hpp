// A small HTTP/1.1 server for operators' requests: metrics, health, control. Bounded in every direction:
// header bytes, body bytes, connections, and the time each step may take. Not for records.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace boost::asio {
class io_context;
}

namespace fastlogd::http {

struct Request {
  std::string method;  ///< GET, POST, ...
  std::string path;    ///< without the query, not decoded
  std::string query;   ///< what follows '?', not decoded
  std::string body;    ///< empty unless the route takes one

  /// The decoded value of `key` in the query; nothing if it is absent or its escapes are broken.
  [[nodiscard]] std::optional<std::string> parameter(std::string_view key) const;
  /// All of the query as decoded names and values, in its order; nothing if an escape is broken.
  [[nodiscard]] std::optional<std::vector<std::pair<std::string, std::string>>> parameters() const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Sends the response. Called once, on the thread that runs the server's io_context; calling it after the
/// peer has gone does nothing. A handler may keep it and answer later.
using Reply = std::function<void(Response)>;
using Handler = std::function<void(const Request&, Reply)>;

struct Route {
  std::string method;  ///< GET also answers HEAD
  std::string path;
  Handler handler;
  std::chrono::milliseconds reply_timeout{0};  ///< for this handler; 0: the server's
  std::size_t body_bytes_max = 0;              ///< of the body it takes; 0: takes none
};

/// Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS; unix(7)).
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;
};

struct ServerLimits {
  std::size_t header_bytes_max = std::size_t{8} * 1024;
  std::size_t body_bytes_max = 1024;  ///< of bodies that are read and ignored
  unsigned connections_max = 64;      ///< one more closes the oldest idle one; if none is idle it hears 503
  std::chrono::milliseconds request_timeout{
      5000};  ///< from the first wait for a request to its last header byte
  std::chrono::milliseconds reply_timeout{30000};  ///< for the handler
  std::chrono::milliseconds write_timeout{5000};
};

/// One listening socket. All methods and handlers run on the thread that runs `io`; destroying the server
/// closes the listening socket and its connections.
class Server {
 public:
  /// Binds and listens on a numeric address; port 0 lets the kernel choose.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen_tcp(boost::asio::io_context& io,
                                                                  const std::string& address,
                                                                  std::uint16_t port,
                                                                  std::vector<Route> routes,
                                                                  ServerLimits limits = {});

  /// Takes a listening Unix stream socket (see bind_unix). `allowed` judges each connection's peer; others
  /// get 403. Its own refusals are JSON, {"ok":false,"error":"Not Found"}; those on TCP are plain text.
  [[nodiscard]] static Result<std::unique_ptr<Server>> serve_unix(
      boost::asio::io_context& io, UniqueFd listening, std::function<bool(const PeerCredentials&)> allowed,
      std::vector<Route> routes, ServerLimits limits = {});

  virtual ~Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// TCP: the port bound. Unix: 0.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  [[nodiscard]] virtual unsigned open_connections() const = 0;

 protected:
  Server() = default;
};

}  // namespace fastlogd::http
