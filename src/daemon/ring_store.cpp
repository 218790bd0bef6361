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
    : io_(io),
      listened_to_(std::getenv("NOTIFY_SOCKET") != nullptr),
      manager_(connect_to_service_manager()),
      started_ns_(realtime_ns()) {}

std::string RingStore::keep(int data_fd, int page_fd) {
  if (!listened_to_) return {};
  std::string name = fmt::format("{}{:016x}-{:08}", kRingNamePrefix, started_ns_,
                                 next_.fetch_add(1, std::memory_order_relaxed));
  if (store_descriptors_now(manager_.get(), name, data_fd, page_fd)) return name;
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax) return {};
  Files files{.data = UniqueFd(::fcntl(data_fd, F_DUPFD_CLOEXEC, 0)),
              .page = UniqueFd(::fcntl(page_fd, F_DUPFD_CLOEXEC, 0))};
  if (!files.data || !files.page) return {};
  waiting_.emplace(name, std::move(files));
  boost::asio::post(io_, [this, name] { tell(name); });
  return name;
}

void RingStore::tell(const std::string& name) {
  Files files;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(name);
    if (found == waiting_.end()) return;  // forgotten meanwhile
    files = std::move(found->second);
    waiting_.erase(found);
  }
  store_descriptors(name, files.data.get(), files.page.get());
}

void RingStore::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (waiting_.erase(name) == 0) boost::asio::post(io_, [name] { remove_descriptors(name); });
}

}  // namespace fastlogd::daemon
