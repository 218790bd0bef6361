// What the configuration says of the front end.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/limits.hpp"

namespace fastlogd::ingest {

enum class ListenerTransport : std::uint8_t { unix_stream, unix_datagram, tcp, udp };
enum class ListenerFraming : std::uint8_t { automatic, lines, octet_counting };
enum class ListenerFormat : std::uint8_t { automatic, syslog, raw };

/// Live-changeable as a whole: a listener whose address stays keeps its socket and connections.
struct ListenerOptions {
  std::string name;
  ListenerTransport transport = ListenerTransport::unix_stream;
  std::string path;        ///< unix-*: socket path
  mode_t mode = 0666;      ///< unix-*: mode of the socket file
  std::string address;     ///< tcp, udp: numeric IPv4 or IPv6
  std::uint16_t port = 0;  ///< tcp, udp; 0 lets the kernel choose (tests)
  std::string stream = "main";
  ListenerFraming framing = ListenerFraming::automatic;  ///< tcp, unix-stream
  ListenerFormat format = ListenerFormat::automatic;
  friend bool operator==(const ListenerOptions&, const ListenerOptions&) = default;
};

/// Live-changeable; new connections and new reads see them.
struct LimitOptions {
  std::size_t record_bytes_max = limits::kRecordBytesDefault;
  unsigned connections_max = limits::kConnectionsDefault;
  unsigned shared_rings_max = limits::kSharedRingsDefault;     ///< in shared memory, of one user; 0: none
  std::size_t shared_bytes_max = limits::kSharedBytesDefault;  ///< likewise
  friend bool operator==(const LimitOptions&, const LimitOptions&) = default;
};

/// Needs a restart.
struct IoOptions {
  unsigned threads = 0;                                ///< 0: one for every two cores, at least one
  std::size_t ring_bytes = limits::kRingBytesDefault;  ///< per io thread and stream, a power of two
  friend bool operator==(const IoOptions&, const IoOptions&) = default;
};

}  // namespace fastlogd::ingest
