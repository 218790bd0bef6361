// Making listening sockets: what may fail at start or reload happens here.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ingest/ingest_options.hpp"

namespace fastlogd::ingest {

/// The socket file of a Unix listener, to be removed with it, unless somebody else has replaced it meanwhile.
/// Removes the file when destroyed. Thread: the main thread.
class SocketFile {
 public:
  SocketFile() = default;
  SocketFile(std::string path, dev_t device, ino_t inode)
      : path_(std::move(path)), device_(device), inode_(inode) {}
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  ~SocketFile() { remove(); }

  void remove();
  /// False: somebody has removed or replaced it (or it was never made), and nobody new finds the socket.
  [[nodiscard]] bool is_there() const;
  /// rename(2) over whatever is there; a failure is reported and leaves the file where it is.
  void rename_to(const std::string& path);

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct BoundSocket {
  UniqueFd fd;
  SocketFile file;     ///< unix-* only
  std::uint16_t port;  ///< tcp, udp: the real one; else 0
};

/// Creates, binds and (streams) listens, non-blocking. Unix: a stale socket file is replaced if nobody
/// answers on it; a living one, or a file that is no socket, is refused with the reason. `bind_path` is where
/// the socket file is made, usually options.path. Errors name the listener and the address.
[[nodiscard]] Result<BoundSocket> bind_listener(const ListenerOptions& options, const std::string& bind_path);

/// Checks that an inherited socket is what the options want and prepares it like a bound one; returns its
/// port.
[[nodiscard]] Result<std::uint16_t> adopt_socket(int fd, const ListenerOptions& options);

/// Is `fd` bound to the address of `options`? A Unix socket's type isn't looked at: adopt_socket() says what is wrong.
[[nodiscard]] bool is_bound_to(int fd, const ListenerOptions& options);

/// "unix-stream /run/x.sock" or "udp 127.0.0.1:514", for messages.
[[nodiscard]] std::string describe_listener(const ListenerOptions& options);
/// The other end of a connection is closed, whatever may still be unread.
[[nodiscard]] bool peer_has_gone(int fd);
/// Who is at the other end of a connection, for messages: "uid 1000, pid 4711" or "192.0.2.1:4711".
[[nodiscard]] std::string describe_peer(int fd);
[[nodiscard]] const char* transport_text(ListenerTransport transport);
[[nodiscard]] constexpr bool is_unix(ListenerTransport transport) {
  return transport == ListenerTransport::unix_stream || transport == ListenerTransport::unix_datagram;
}
[[nodiscard]] constexpr bool is_stream(ListenerTransport transport) {
  return transport == ListenerTransport::unix_stream || transport == ListenerTransport::tcp;
}

/// Nobody's datagrams reach the socket any more; what is queued stays readable. For sockets that are ours
/// alone.
void end_intake(int fd, ListenerTransport transport);

}  // namespace fastlogd::ingest
