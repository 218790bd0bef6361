// Clients' shared memory in systemd's file descriptor store, where it outlives the daemon.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <boost/asio/io_context.hpp>

#include "ingest/ring_keeper.hpp"

namespace fastlogd::daemon {

/// Any thread asks, the main thread speaks to systemd, which may be slow. What is not said by the time the main loop ends
/// is not said: a ring too many in the store is drained once more by the next daemon, which finds it empty or its records
/// in the log.
class RingStore final : public ingest::RingKeeper {
 public:
  /// Keeps nothing where no service manager listens. The context outlives it.
  explicit RingStore(boost::asio::io_context& io);

  [[nodiscard]] std::string keep(int data_fd, int page_fd) override;
  void forget(const std::string& name) override;

 private:
  boost::asio::io_context& io_;
  const bool listened_to_;
  const std::int64_t started_ns_;  ///< makes names differ from those of the daemon before
  std::atomic<std::uint64_t> next_{0};
};

}  // namespace fastlogd::daemon
