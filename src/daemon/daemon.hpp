// The composition: which parts there are, in which order they start and stop, and who is told.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/config_counters.hpp"
#include "config/load.hpp"
#include "config/reloader.hpp"
#include "config/watch.hpp"
#include "daemon/config_watch.hpp"
#include "daemon/profiling.hpp"
#include "daemon/reload.hpp"
#include "daemon/ring_store.hpp"
#include "daemon/routes.hpp"
#include "daemon/streams.hpp"
#include "daemon/vital_signs.hpp"
#include "http/server.hpp"
#include "ingest/front_end.hpp"
#include "ingest/sockets.hpp"
#include "metrics/registry.hpp"

namespace fastlogd::daemon {

/// SIGTERM to exit. Half of it is the front end's, the rest belongs to the stores and text files behind it.
inline constexpr std::chrono::seconds kStopBound{10};

/// Lives on the main thread, which owns configuration, signals and HTTP.
///
/// Start: each part is checked before the next begins, and nothing accepts a record before everything can keep it:
///   streams (lock, recover, first segment) -> front end (rings) -> listeners (bind) -> text files -> http -> control
///   -> threads: appenders, text files, io threads -> READY
/// Stop: the other way round in the direction of the data:
///   listeners close -> io threads finish what was received -> appenders drain, sync, seal -> text files catch up
class Daemon {
 public:
  /// `loaded` is good; `watcher` has been watching since before it was read.
  Daemon(const config::Loaded& loaded, std::string config_path, config::MissingFile missing,
         config::Watcher watcher);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Starts everything, serves until a signal asks for the end, drains. Returns the exit code.
  int run();

 private:
  [[nodiscard]] Result<> start();
  [[nodiscard]] Result<> start_part(std::string_view part, const std::function<Result<>()>& work);
  [[nodiscard]] Result<> open_streams();
  [[nodiscard]] Result<> open_front_end();
  [[nodiscard]] Result<> open_listeners();
  [[nodiscard]] Result<> open_http();
  [[nodiscard]] Result<> open_control();
  [[nodiscard]] Result<> start_threads();
  [[nodiscard]] Questions questions();

  void wait_for_signal();
  void tick();
  void give_up();
  void begin_stop(std::string_view why);
  void keep_control();
  void close_control();
  void drain();

  [[nodiscard]] std::string control_path() const;
  [[nodiscard]] Condition condition();
  [[nodiscard]] std::string status();
  [[nodiscard]] const config::Config& running() const { return *reloader_.running(); }

  boost::asio::io_context io_;
  std::int64_t started_ns_;
  metrics::Registry metrics_;
  std::shared_ptr<config::ConfigCounters> config_counters_;
  config::Reloader reloader_;
  RingStore ring_store_;
  std::unique_ptr<Streams> streams_;
  std::unique_ptr<ingest::FrontEnd> front_end_;
  std::optional<ingest::PreparedListeners> listeners_;  ///< bound, until the io threads start
  std::vector<ingest::KeptRing> kept_rings_;            ///< likewise
  std::unique_ptr<Reload> reload_;
  ConfigWatch watch_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer tick_timer_;
  VitalSigns vital_signs_;
  Profiling profiling_;
  boost::asio::thread_pool background_{1};  ///< waits for disks on behalf of the control socket
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<http::Server> control_;
  ingest::SocketFile control_file_;
  std::thread drain_;
  bool ready_ = false;
  int exit_code_ = 0;
};

}  // namespace fastlogd::daemon
