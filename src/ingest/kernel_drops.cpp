#include "ingest/kernel_drops.hpp"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>

namespace fastlogd::ingest {

std::uint32_t kernel_drop_total(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
  socklen_t bytes = sizeof values;
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values.data(), &bytes) != 0) return 0;
  return values[SK_MEMINFO_DROPS];
}

}  // namespace fastlogd::ingest
