// What the configuration says of the read-only HTTP port.
#pragma once

#include <cstdint>
#include <string>

namespace fastlogd::http {

/// Needs a restart.
struct HttpOptions {
  bool enabled = true;
  std::string address = "127.0.0.1";
  std::uint16_t port = 9514;
  friend bool operator==(const HttpOptions&, const HttpOptions&) = default;
};

}  // namespace fastlogd::http
