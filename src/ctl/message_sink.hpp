// Where `fastlogctl send` puts its messages: a connected socket of one of the four transports.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace fastlogd::ctl {

enum class SinkKind : std::uint8_t { unix_stream, unix_datagram, tcp, udp };

struct SinkAddress {
  SinkKind kind = SinkKind::unix_stream;
  std::string where;     ///< a path, or HOST:PORT ("[::1]:5140" for IPv6)
  bool counted = false;  ///< a listener of the configuration that takes nothing without octet counts
  bool raw = false;      ///< one that stores messages as they come, headers and all

  [[nodiscard]] bool stream() const { return kind == SinkKind::unix_stream || kind == SinkKind::tcp; }
};

/// A connected, blocking socket. Throws Failure with the reason.
[[nodiscard]] UniqueFd connect_to(const SinkAddress& address);

/// Connects at once; throws Failure with the reason, also when sending fails later.
class MessageSink {
 public:
  /// `octet_counting` (streams only): a count before each message instead of a newline behind it (RFC 6587).
  MessageSink(const SinkAddress& address, bool octet_counting);

  void send(std::string_view message);
  /// Streams collect messages into large writes: this sends what has come together.
  void flush();
  /// Flushes and waits until the other end has taken everything, so that an error is not lost.
  void close();

 private:
  void write_all(std::string_view bytes);

  SinkAddress address_;
  bool octet_counting_;
  UniqueFd socket_;
  std::string batch_;
};

}  // namespace fastlogd::ctl
