// Clients' shared memory in systemd's file descriptor store, where it outlives the daemon.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/unique_fd.hpp"
#include "ingest/ring_keeper.hpp"

namespace fastlogd::daemon {

/// Any thread gives a ring away at once, so that it is systemd's before its client has it. Where systemd is behind, the
/// main thread waits for it: meanwhile a few rings wait (a daemon killed then leaves them to nobody), and one that is
/// forgotten before its turn is never spoken of; where they are too many, a ring is not kept. What is not said by the time
/// the main loop ends is not said: a ring too many in the store is drained once more by the next daemon, which finds it
/// empty or its records in the log.
///
/// Rings are forgotten by the main thread, later: a client's old ring after its new one is kept.
class RingStore final : public ingest::RingKeeper {
 public:
  /// Keeps nothing where no service manager listens. The context outlives it.
  explicit RingStore(boost::asio::io_context& io);

  [[nodiscard]] std::string keep(int data_fd, int page_fd) override;
  void forget(const std::string& name) override;

 private:
  /// A ring's two files.
  struct Files {
    UniqueFd data;
    UniqueFd page;
  };
  static constexpr std::size_t kWaitingMax = 256;

  void tell(const std::string& name);

  boost::asio::io_context& io_;
  const bool listened_to_;
  const UniqueFd manager_;
  const std::int64_t started_ns_;  ///< makes names differ from those of the daemon before
  std::atomic<std::uint64_t> next_ = 0;
  std::mutex mutex_;                      ///< guards what follows
  std::map<std::string, Files> waiting_;  ///< to be told
};

}  // namespace fastlogd::daemon
