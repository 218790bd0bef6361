// Clients' shared memory in systemd's file descriptor store, where it outlives the daemon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/unique_fd.hpp"
#include "ingest/ring_keeper.hpp"

namespace fastlogd::daemon {

/// Any thread asks, the main thread speaks to systemd, which may be slow. Meanwhile a few rings wait, and one that is
/// forgotten before its turn is never spoken of; where they are too many, a ring is not kept. What is not said by the time
/// the main loop ends is not said: a ring too many in the store is drained once more by the next daemon, which finds it
/// empty or its records in the log.
///
/// What is asked in one order is said in that order: a client's old ring is forgotten after its new one is kept.
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
  const std::int64_t started_ns_;  ///< makes names differ from those of the daemon before
  std::mutex mutex_;               ///< guards what follows
  std::uint64_t next_ = 0;
  std::map<std::string, Files> waiting_;  ///< to be told
};

}  // namespace fastlogd::daemon
