#include "record/source.hpp"

namespace fastlogd {

std::string_view transport_name(Transport transport) {
  switch (transport) {
    case Transport::unix_stream:
      return "unix-stream";
    case Transport::unix_datagram:
      return "unix-datagram";
    case Transport::tcp:
      return "tcp";
    case Transport::udp:
      return "udp";
    case Transport::shared_memory:
      return "shared-memory";
    case Transport::internal:
      return "internal";
    case Transport::unknown:
      break;
  }
  return "unknown";
}

}  // namespace fastlogd
