#include "daemon/config_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.hpp"

namespace fastlogd::daemon {

using boost::system::error_code;

ConfigWatch::ConfigWatch(boost::asio::io_context& io, config::Watcher watcher, std::function<void()> look)
    : watcher_(std::move(watcher)), look_(std::move(look)), events_(io, watcher_.fd()), timer_(io) {}

// The descriptor is the watcher's.
ConfigWatch::~ConfigWatch() {
  (void)events_.release();
}

void ConfigWatch::start() {
  wait_for_event();
  wait_for_time();
}

void ConfigWatch::stop() {
  stopped_ = true;
  error_code ignored;
  events_.cancel(ignored);
  timer_.cancel();
}

void ConfigWatch::wait_for_event() {
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](error_code error) {
    if (error || stopped_) return;
    watcher_.on_readable(monotonic_ns());
    wait_for_event();
    wait_for_time();  // an event brings the deadline nearer
  });
}

void ConfigWatch::wait_for_time() {
  const std::int64_t wait_ns = std::max<std::int64_t>(0, watcher_.next_deadline_ns() - monotonic_ns());
  timer_.expires_after(std::chrono::nanoseconds(wait_ns));
  timer_.async_wait([this](error_code error) {
    if (error || stopped_) return;
    if (watcher_.on_time(monotonic_ns())) look_();
    wait_for_time();
  });
}

}  // namespace fastlogd::daemon
