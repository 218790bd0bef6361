#include "ctl/target.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/load.hpp"
#include "config/problem.hpp"
#include "ctl/control_client.hpp"
#include "ctl/failure.hpp"
#include "ctl/reply.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::ctl {
namespace {

namespace fs = std::filesystem;

/// A stream's directory holds segments, or at least the lock of a daemon that is about to write some. `error` says
/// why nobody knows.
bool is_stream_directory(const fs::path& path, std::error_code& error) {
  std::error_code ignored;
  if (fs::exists(path / "LOCK", ignored)) return true;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (segment::parse_segment_name(entry.path().filename().string())) return true;
  }
  return false;
}

std::vector<Stream> streams_in(const std::string& directory) {
  std::error_code error;
  const fs::path path = fs::absolute(directory, error).lexically_normal();
  fs::directory_iterator entries(path, error);
  if (error) throw Failure(ExitCode::usage, fmt::format("{}: {}", directory, error.message()));
  if (is_stream_directory(path, error)) {
    const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
    return {{name.string(), directory}};
  }
  std::vector<Stream> found;
  std::string forbidden;
  for (const auto& entry : entries) {
    if (!entry.is_directory(error)) continue;
    std::error_code why_unknown;
    if (is_stream_directory(entry.path(), why_unknown)) {
      found.push_back({entry.path().filename().string(), entry.path().string()});
    } else if (why_unknown == std::errc::permission_denied && entry.path().filename() != "lost+found") {
      forbidden += fmt::format("{}: {}\n", entry.path().string(), why_unknown.message());
    }
  }
  if (found.empty() && !forbidden.empty()) {
    forbidden.pop_back();
    throw Failure(ExitCode::usage, forbidden);
  }
  fmt::print(stderr, "{}", forbidden);
  std::sort(found.begin(), found.end(), [](const Stream& a, const Stream& b) { return a.name < b.name; });
  if (found.empty()) {
    throw Failure(ExitCode::usage,
                  directory + " holds no log: no segments (*.flog) in it or one level below");
  }
  return found;
}

config::Loaded read_config(const TargetOptions& options) {
  const bool is_default = options.config == config::kDefaultConfigPath;
  return config::load(options.config,
                      is_default ? config::MissingFile::defaults : config::MissingFile::refused);
}

/// Also for a file that is gone. A daemon that was given a path relative to where it was started may not be found.
bool is_same_file(const std::string& a, const std::string& b) {
  if (a == b) return true;
  std::error_code error_a;
  std::error_code error_b;
  const fs::path real_a = fs::weakly_canonical(a, error_a);
  const fs::path real_b = fs::weakly_canonical(b, error_b);
  return !error_a && !error_b && real_a == real_b;
}

/// What answers where the readable rest of a file says is asked first whether it runs by that file: a rotate must not
/// reach another daemon because a line is misspelt.
std::string socket_of_daemon_without(const TargetOptions& options, const config::Loaded& refused) {
  const std::string socket = config::readable_runtime_directory(refused.sources) + "/control.sock";
  std::string why;
  try {
    const std::string runs_by = parse_status(ask_status(socket)).config_path;
    if (!is_same_file(runs_by, options.config))
      why = fmt::format("fastlogd on {} runs by {}", socket, runs_by);
  } catch (const Failure& failure) {
    why = failure.what();
  }
  if (!why.empty()) {
    fmt::print(stderr, "{}", config::format_problems(refused.problems));
    throw Failure(ExitCode::configuration,
                  fmt::format("the configuration is not usable, and {}; --socket names a running daemon's "
                              "control socket, --directory a log",
                              why));
  }
  fmt::print(stderr,
             "fastlogctl: {} is not usable (fastlogd --check says why); fastlogd on {} goes on without it\n",
             options.config, socket);
  return socket;
}

}  // namespace

void add_control_options(CLI::App& command, TargetOptions& options) {
  command
      .add_option("--config", options.config, "The daemon's configuration, which says where its socket is")
      ->type_name("FILE")
      ->capture_default_str();
  command
      .add_option("--socket", options.socket, "The daemon's control socket, without asking the configuration")
      ->type_name("PATH");
}

void add_target_options(CLI::App& command, TargetOptions& options) {
  auto* directory =
      command
          .add_option("--directory", options.directory,
                      "A stream's directory, or one that holds streams' directories; needs no daemon")
          ->type_name("DIR");
  command.add_option("--config", options.config, "The daemon's configuration, which says where streams are")
      ->type_name("FILE")
      ->capture_default_str()
      ->excludes(directory);
  command
      .add_option("--socket", options.socket, "A running daemon's control socket, which knows its streams")
      ->type_name("PATH")
      ->excludes(directory);
}

void add_stream_argument(CLI::App& command, TargetOptions& options) {
  command.add_option("STREAM", options.stream, "The stream; left out: main, else the only one");
}

std::shared_ptr<const config::Config> load_config(const TargetOptions& options) {
  const auto loaded = read_config(options);
  if (loaded.ok()) return loaded.config;
  fmt::print(stderr, "{}", config::format_problems(loaded.problems));
  throw Failure(ExitCode::configuration, "the configuration is not usable; name a socket");
}

std::string control_socket_path(const TargetOptions& options) {
  if (!options.socket.empty()) return options.socket;
  const config::Loaded loaded = read_config(options);
  if (!loaded.ok()) return socket_of_daemon_without(options, loaded);
  return loaded.config->daemon.runtime_directory + "/control.sock";
}

std::vector<Stream> find_streams(const TargetOptions& options) {
  if (!options.directory.empty()) return streams_in(options.directory);
  if (!options.socket.empty()) return parse_status(ask_status(options.socket)).streams;
  const config::Loaded loaded = read_config(options);
  if (!loaded.ok()) return parse_status(ask_status(socket_of_daemon_without(options, loaded))).streams;
  std::vector<Stream> streams;
  for (const auto& stream : loaded.config->streams) {
    streams.push_back({stream.store.name, stream.store.directory});
  }
  return streams;
}

Stream choose_stream(const TargetOptions& options) {
  return choose_stream(find_streams(options), options.stream);
}

Stream choose_stream(const std::vector<Stream>& streams, const std::string& name) {
  const std::string& wanted = name.empty() ? "main" : name;
  for (const auto& stream : streams) {
    if (stream.name == wanted) return stream;
  }
  if (name.empty() && streams.size() == 1) return streams.front();
  std::vector<std::string> names;
  names.reserve(streams.size());
  for (const auto& stream : streams) names.push_back(stream.name);
  if (name.empty()) {
    throw Failure(ExitCode::usage, fmt::format("which stream? There are: {}", fmt::join(names, ", ")));
  }
  throw Failure(ExitCode::usage, fmt::format("no stream {}; there are: {}", name, fmt::join(names, ", ")));
}

}  // namespace fastlogd::ctl
