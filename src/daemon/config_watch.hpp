// Drives config::Watcher from the main thread's io_context.
#pragma once

#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/watch.hpp"

namespace fastlogd::daemon {

/// Calls `look` when the configuration's files may have changed. Main thread.
class ConfigWatch {
 public:
  ConfigWatch(boost::asio::io_context& io, config::Watcher watcher, std::function<void()> look);
  ~ConfigWatch();
  ConfigWatch(const ConfigWatch&) = delete;
  ConfigWatch& operator=(const ConfigWatch&) = delete;

  void start();
  /// No more looks; handlers that are under way find nothing to do.
  void stop();

 private:
  void wait_for_event();
  void wait_for_time();

  config::Watcher watcher_;
  std::function<void()> look_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer timer_;
  bool stopped_ = false;
};

}  // namespace fastlogd::daemon
