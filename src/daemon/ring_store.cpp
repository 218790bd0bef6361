#include "daemon/ring_store.hpp"

#include <fcntl.h>

#include <cstdlib>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "base/clock.hpp"
#include "daemon/service_manager.hpp"

namespace fastlogd::daemon {

RingStore::RingStore(boost::asio::io_context& io)
    : io_(io), listened_to_(std::getenv("NOTIFY_SOCKET") != nullptr), started_ns_(realtime_ns()) {}

std::string RingStore::keep(int data_fd, int page_fd) {
  if (!listened_to_) return {};
  UniqueFd data(::fcntl(data_fd, F_DUPFD_CLOEXEC, 0));
  UniqueFd page(::fcntl(page_fd, F_DUPFD_CLOEXEC, 0));
  if (!data || !page) return {};
  std::string name = fmt::format("{}{:x}-{}", kRingNamePrefix, started_ns_, next_.fetch_add(1));
  boost::asio::post(io_, [name, data = std::move(data), page = std::move(page)] {
    store_descriptors(name, data.get(), page.get());
  });
  return name;
}

void RingStore::forget(const std::string& name) {
  boost::asio::post(io_, [name] { remove_descriptors(name); });
}

}  // namespace fastlogd::daemon
