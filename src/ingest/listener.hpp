// A listener as the io threads see it: immutable, shared, replaced as a whole by a reload.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/diagnostics.hpp"
#include "ingest/ingest_counters.hpp"
#include "ingest/ingest_options.hpp"
#include "record/source.hpp"
#include "wire/first_bytes.hpp"
#include "wire/stream_framer.hpp"
#include "wire/syslog.hpp"

namespace fastlogd::ingest {

/// How often the daemon's log speaks of one listener: each reason has its own limit, so that one noisy peer hides
/// nothing but more of itself. Any io thread.
struct ListenerComplaints {
  std::array<diag::RateLimit, wire::kFirstBytesKinds> not_text;  ///< by wire::FirstBytes
  diag::RateLimit bad_framing;
  diag::RateLimit bad_native;
  diag::RateLimit not_reading;
  diag::RateLimit connections_max;
  diag::RateLimit descriptors;
  diag::RateLimit accept_failed;
  diag::RateLimit receive_failed;
};

struct Listener {
  std::uint64_t socket_id = 0;  ///< stays when a reload changes the options of an unchanged address
  ListenerOptions options;
  std::size_t stream = 0;  ///< index of the stream's ring in each io thread
  bool inherited = false;  ///< somebody else keeps the socket: don't drain it, don't end its intake
  std::vector<std::shared_ptr<ListenerCounters>> counters;  ///< per io thread
  mutable ListenerComplaints complaints;

  [[nodiscard]] Transport transport() const {
    switch (options.transport) {
      case ListenerTransport::unix_stream:
        return Transport::unix_stream;
      case ListenerTransport::unix_datagram:
        return Transport::unix_datagram;
      case ListenerTransport::tcp:
        return Transport::tcp;
      case ListenerTransport::udp:
        return Transport::udp;
    }
    return Transport::unknown;
  }
  /// Senders on the same machine leave HOSTNAME out (glibc, logger).
  [[nodiscard]] bool host_expected() const {
    return options.transport == ListenerTransport::tcp || options.transport == ListenerTransport::udp;
  }
  /// Whether a connection may speak the native protocol: where the format is told by what arrives.
  [[nodiscard]] bool takes_native() const { return options.format == ListenerFormat::automatic; }
  [[nodiscard]] wire::MessageFormat format() const {
    switch (options.format) {
      case ListenerFormat::automatic:
        return wire::MessageFormat::automatic;
      case ListenerFormat::syslog:
        return wire::MessageFormat::syslog;
      case ListenerFormat::raw:
        return wire::MessageFormat::raw;
    }
    return wire::MessageFormat::automatic;
  }
  [[nodiscard]] wire::FramingMode framing() const {
    switch (options.framing) {
      case ListenerFraming::automatic:
        return wire::FramingMode::automatic;
      case ListenerFraming::lines:
        return wire::FramingMode::lines;
      case ListenerFraming::octet_counting:
        return wire::FramingMode::octet_counting;
    }
    return wire::FramingMode::automatic;
  }
};

using ListenerPtr = std::shared_ptr<const Listener>;

}  // namespace fastlogd::ingest
