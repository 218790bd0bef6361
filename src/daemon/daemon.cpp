#include "daemon/daemon.hpp"

#include <sys/stat.h>

#include <csignal>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"
#include "base/units.hpp"
#include "daemon/command_line.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/status_report.hpp"
#include "http/unix_socket.hpp"

namespace fastlogd::daemon {
namespace {

constexpr mode_t kRuntimeDirectoryMode = 0755;
constexpr mode_t kControlSocketMode = 0660;
constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kStallBound{
    5};  // a cycle takes a second at most; a loaded machine gets some grace

/// What bind_unix() has just made there.
ingest::SocketFile file_of_socket(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {};
  return {path, status.st_dev, status.st_ino};
}

}  // namespace

Daemon::Daemon(const config::Loaded& loaded, std::string config_path, config::MissingFile missing,
               config::Watcher watcher)
    : started_ns_(monotonic_ns()),
      config_counters_(std::make_shared<config::ConfigCounters>()),
      reloader_(std::move(config_path), loaded, missing, *config_counters_),
      ring_store_(io_),
      watch_(io_, std::move(watcher),
             [this] {
               if (ready_) (void)reload_->run(config::Trigger::watch);
             }),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      tick_timer_(io_),
      profiling_(io_) {
  metrics_.set_config(config_counters_);
}

Daemon::~Daemon() {
  if (drain_.joinable()) drain_.join();
}

int Daemon::run() {
  if (const auto started = start(); !started) {
    diag::error("can't start: {}", started.error().message());
    if (control_) close_control();
    if (streams_) streams_->stop(std::chrono::steady_clock::now() + kStopBound);  // before their rings go
    return kExitFailure;
  }
  wait_for_signal();
  watch_.start();
  tick();
  ready_ = true;
  notify_ready(reload_->summary());
  diag::info("ready after {}: {}", format_duration(std::chrono::nanoseconds(monotonic_ns() - started_ns_)),
             reload_->summary());
  io_.run();
  return exit_code_;
}

Result<> Daemon::start() {
  diag::info("fastlogd {} starts with {}", FASTLOGD_VERSION, reloader_.main_path());
  const std::pair<const char*, Result<> (Daemon::*)()> parts[] = {
      {"streams", &Daemon::open_streams},        {"front end", &Daemon::open_front_end},
      {"listeners", &Daemon::open_listeners},    {"http", &Daemon::open_http},
      {"control socket", &Daemon::open_control}, {"threads", &Daemon::start_threads},
  };
  for (const auto& [name, work] : parts) {
    if (auto done = start_part(name, std::bind_front(work, this)); !done) return done.error();
  }
  return {};
}

Result<> Daemon::start_part(std::string_view part, const std::function<Result<>()>& work) {
  const std::int64_t began_ns = monotonic_ns();
  if (auto done = work(); !done) return done.error();
  diag::info("{} ready in {}", part, format_duration(std::chrono::nanoseconds(monotonic_ns() - began_ns)));
  return {};
}

Result<> Daemon::open_streams() {
  FileSystem& files = posix_file_system();
  if (auto made = files.make_directories(running().daemon.runtime_directory, kRuntimeDirectoryMode); !made) {
    return made.error();
  }
  const auto gave_up = [this] { boost::asio::post(io_, [this] { give_up(); }); };
  auto opened = Streams::open(running(), files, metrics_, gave_up);
  if (!opened) return opened.error();
  streams_ = std::move(*opened);
  return {};
}

Result<> Daemon::open_front_end() {
  auto created = ingest::FrontEnd::create(running().io, running().limits, streams_->names());
  if (!created) return created.error();
  front_end_ = std::move(*created);
  front_end_->set_ring_keeper(ring_store_);
  streams_->attach(*front_end_);
  return {};
}

Result<> Daemon::open_listeners() {
  Inheritance inheritance = take_inheritance();
  kept_rings_ = std::move(inheritance.rings);
  auto prepared = front_end_->prepare(running().listeners, std::move(inheritance.sockets));
  if (!prepared) return prepared.error();
  listeners_ = std::move(*prepared);
  return {};
}

Result<> Daemon::open_http() {
  const http::HttpOptions& options = running().http;
  if (!options.enabled) return {};
  auto routes = public_routes(questions());
  profiling_.add_routes(routes, ProfilingAccess::http);
  auto server = http::Server::listen_tcp(io_, options.address, options.port, std::move(routes));
  if (!server) return server.error();
  http_ = std::move(*server);
  return {};
}

Result<> Daemon::open_control() {
  auto bound = http::bind_unix(control_path(), kControlSocketMode);
  if (!bound) return bound.error();
  ingest::SocketFile file = file_of_socket(control_path());
  auto routes = control_routes(questions());
  profiling_.add_routes(routes, ProfilingAccess::control);
  auto server = http::Server::serve_unix(io_, std::move(*bound), &http::may_control, std::move(routes));
  if (!server) return server.error();
  control_ = std::move(*server);
  control_file_ = std::move(file);
  return {};
}

Result<> Daemon::start_threads() {
  streams_->start();
  if (auto prepared = streams_->prepare(running()); !prepared) return prepared.error();
  streams_->commit(running());
  reload_ = std::make_unique<Reload>(reloader_, *config_counters_, *front_end_, *streams_, metrics_);
  front_end_->commit(std::move(*listeners_));
  listeners_.reset();
  register_listeners(*front_end_, metrics_);
  front_end_->resume_rings(std::exchange(kept_rings_, {}));
  front_end_->start();
  return {};
}

Questions Daemon::questions() {
  return {
      .ready = [this] { return ready_; },
      .condition = [this] { return condition(); },
      .metrics = [this] { return metrics_.render(); },
      .status = [this] { return status(); },
      .reload =
          [this](bool dry_run) {
            return dry_run ? reload_->dry_run() : reload_->run(config::Trigger::request);
          },
      .stream = [this](std::string_view name) { return streams_->find(name); },
      .rotate = [this](std::string_view name) { return streams_->rotate(name); },
      .in_background =
          [this](std::function<void()> work, std::function<void()> done) {
            boost::asio::post(background_, [this, work = std::move(work), done = std::move(done)] {
              work();
              boost::asio::post(io_, done);
            });
          },
  };
}

void Daemon::wait_for_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error || !ready_) return;  // it may have been queued when something else began the stop
    if (signal != SIGHUP) return begin_stop(signal == SIGINT ? "SIGINT" : "SIGTERM");
    (void)reload_->run(config::Trigger::request);
    wait_for_signal();
  });
}

void Daemon::tick() {
  profiling_.allow(running().daemon.diagnostics.profiling);
  const auto now = VitalSigns::Clock::now();
  const auto cycles = front_end_->duty_cycles();
  for (std::size_t i = 0; i < cycles.size(); ++i)
    vital_signs_.observe(fmt::format("io {}", i), cycles[i], now);
  streams_->observe(vital_signs_, now);
  const auto stalled = vital_signs_.stalled(now, kStallBound);
  for (const std::string& thread : stalled) {
    static diag::RateLimit limit;
    limit.log(diag::Level::error, "thread {}: no duty cycle is completed any more", thread);
  }
  keep_control();
  const auto watchdog = watchdog_period();
  if (watchdog && stalled.empty()) notify_alive();
  std::chrono::nanoseconds next = kTick;
  if (watchdog) next = std::min<std::chrono::nanoseconds>(next, *watchdog / 2);
  tick_timer_.expires_after(next);
  tick_timer_.async_wait([this](boost::system::error_code error) {
    if (!error && ready_) tick();
  });
}

/// A stream can't keep its promise, and is configured to stop then.
void Daemon::give_up() {
  exit_code_ = kExitFailure;
  begin_stop("a sync has failed and durability.on_failure is stop");
}

/// Once, whoever comes first.
void Daemon::begin_stop(std::string_view why) {
  if (!ready_) return;
  diag::info("{}: stopping; a second SIGTERM ends at once", why);
  notify_stopping();
  ready_ = false;
  boost::system::error_code ignored;
  signals_.clear(ignored);  // back to the default: the next one kills
  (void)std::signal(SIGHUP, SIG_IGN);
  watch_.stop();
  profiling_.end();
  tick_timer_.cancel();
  close_control();
  // On a thread of its own, so that /metrics and /readyz answer meanwhile.
  drain_ = std::thread([this] {
    set_thread_name("fl-drain");
    drain();
    boost::asio::post(io_, [this] { io_.stop(); });
  });
}

/// Without its file nobody finds the control socket, and so nobody could ask for a reload that brings it back.
void Daemon::keep_control() {
  if (control_file_.is_there()) return;
  static diag::RateLimit limit;
  if (const auto opened = open_control(); !opened) {
    limit.log(diag::Level::error, "the control socket's file is gone, and it can't be opened again: {}",
              opened.error().message());
  } else {
    limit.log(diag::Level::warning, "{} was gone; it is there again", control_path());
  }
}

void Daemon::close_control() {
  control_.reset();
  control_file_.remove();  // unless somebody has put another one there
}

void Daemon::drain() {
  const auto began = std::chrono::steady_clock::now();
  if (!front_end_->stop(kStopBound / 2))
    diag::warning("records were still coming in when the stop's time was over");
  streams_->stop(began + kStopBound);
  background_.join();
  const metrics::RecordBalance balance = metrics_.balance();
  diag::info("stopped after {}: received {}, stored {}, repeated {}, dropped {}, in flight {}",
             format_duration(std::chrono::steady_clock::now() - began), balance.received, balance.stored,
             balance.repeated, balance.dropped, balance.in_flight);
}

std::string Daemon::control_path() const {
  return running().daemon.runtime_directory + "/control.sock";
}

Condition Daemon::condition() {
  Condition condition;
  condition.streams = streams_->conditions();
  if (ready_) condition.listeners_without_file = front_end_->listeners_without_file();
  // A stop no longer looks at them.
  if (ready_) condition.stalled_threads = vital_signs_.stalled(VitalSigns::Clock::now(), kStallBound);
  condition.generation = config_counters_->generation.load(std::memory_order_relaxed);
  condition.reloads_applied = config_counters_->reload_success.value();
  condition.reloads_refused = config_counters_->reload_failure.value();
  condition.config_error = reloader_.last_error();
  condition.waiting_for_restart = reloader_.waiting_for_restart().size();
  return condition;
}

std::string Daemon::status() {
  std::vector<std::string> restart_needed;
  for (const config::Change& change : reloader_.waiting_for_restart())
    restart_needed.push_back(format_change(change));
  return status_report({running(), reloader_.main_path(), condition(), restart_needed, *streams_, *front_end_,
                        metrics_, started_ns_});
}

}  // namespace fastlogd::daemon
