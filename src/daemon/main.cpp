// fastlogd: command line, configuration, and then the Daemon.
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"
#include "config/load.hpp"
#include "config/watch.hpp"
#include "daemon/command_line.hpp"
#include "daemon/daemon.hpp"
#include "daemon/log_sink.hpp"

namespace {

using namespace fastlogd;
using daemon::CommandLine;

/// Connections are descriptors; nothing here uses select(2), which the low soft limit exists for.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    diag::warning("can't raise the limit of open files: {}", std::strerror(errno));
}

int check(const CommandLine& line, config::MissingFile missing) {
  const std::string problems = config::check(line.config_path, missing);
  fmt::print(stderr, "{}", problems);
  if (!problems.empty()) return daemon::kExitConfiguration;
  if (std::error_code error; missing == config::MissingFile::defaults &&
                             !std::filesystem::exists(line.config_path, error) && !error) {
    fmt::print("{} is absent: built-in defaults hold\n", line.config_path);
  } else {
    fmt::print("{}: good\n", line.config_path);
  }
  return daemon::kExitOk;
}

int run(const CommandLine& line, config::MissingFile missing) {
  daemon::install_log_sink(daemon::choose_log_style());
  raise_descriptor_limit();
  (void)std::signal(SIGPIPE, SIG_IGN);
  set_thread_name("fastlogd");
  // Watching begins before reading: no change falls between the two.
  auto watcher = config::Watcher::create(line.config_path, monotonic_ns());
  if (!watcher) {
    diag::error("can't watch the configuration: {}", watcher.error().message());
    return daemon::kExitFailure;
  }
  const config::Loaded loaded = config::load(line.config_path, missing);
  for (const config::Problem& problem : loaded.problems) diag::error("{}", format_problem(problem));
  if (!loaded.ok()) return daemon::kExitConfiguration;
  diag::set_level(loaded.config->daemon.diagnostics.level);
  return daemon::Daemon(loaded, line.config_path, missing, std::move(*watcher)).run();
}

int act(const CommandLine& line) {
  const auto missing = line.config_given ? config::MissingFile::refused : config::MissingFile::defaults;
  switch (line.action) {
    case CommandLine::Action::check:
      return check(line, missing);
    case CommandLine::Action::version:
      fmt::print("fastlogd {}\n", FASTLOGD_VERSION);
      return daemon::kExitOk;
    case CommandLine::Action::help:
      fmt::print("{}", daemon::usage());
      return daemon::kExitOk;
    case CommandLine::Action::refuse:
      fmt::print(stderr, "fastlogd: {}\n\n{}", line.error, daemon::usage());
      return daemon::kExitUsage;
    case CommandLine::Action::run:
      break;
  }
  return run(line, missing);
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    return act(daemon::parse_command_line(argc, argv));
  } catch (const std::exception& error) {
    diag::error("unexpected: {}", error.what());
    return daemon::kExitFailure;
  }
}
