// Which stream a command is about, and where it lies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace CLI {
class App;
}

namespace fastlogd::ctl {

/// What --directory, --config and STREAM say.
struct TargetOptions {
  std::string directory;  ///< a stream's directory, or one that holds streams' directories
  std::string config = config::kDefaultConfigPath;
  std::string stream;  ///< empty: main, else the only one
  std::string socket;  ///< the control socket; empty: where the configuration says
};

/// Adds --directory, --config and --socket, for commands that read.
void add_target_options(CLI::App& command, TargetOptions& options);
/// Adds --config and --socket, for commands that ask the daemon.
void add_control_options(CLI::App& command, TargetOptions& options);
/// Adds the positional STREAM.
void add_stream_argument(CLI::App& command, TargetOptions& options);

struct Stream {
  std::string name;
  std::string directory;
};

/// The configuration that --config names, for a command that sends; the defaults if the default file is absent. Prints
/// the problems of a bad one and throws Failure(configuration).
[[nodiscard]] std::shared_ptr<const config::Config> load_config(const TargetOptions& options);

/// The daemon's control socket: --socket, or where the configuration says. If that is not usable, a daemon that runs by
/// this very file goes on with what it said before: then its socket, and a warning is printed. If there is none, prints
/// the problems and throws Failure(configuration).
[[nodiscard]] std::string control_socket_path(const TargetOptions& options);

/// All streams there are, by name: in --directory, of the daemon on --socket, or as the configuration says; of the
/// daemon that goes on without it if that is not usable. Throws Failure if there is none.
[[nodiscard]] std::vector<Stream> find_streams(const TargetOptions& options);

/// The one the command is about: the named one, else main, else the only one; otherwise Failure names those there are.
[[nodiscard]] Stream choose_stream(const TargetOptions& options);

/// The rule of choose_stream alone.
[[nodiscard]] Stream choose_stream(const std::vector<Stream>& streams, const std::string& name);

}  // namespace fastlogd::ctl
