#include "ctl/target.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/load.hpp"
#include "config/problem.hpp"
#include "ctl/failure.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::ctl {
namespace {

namespace fs = std::filesystem;

/// A stream's directory holds segments, or at least the lock of a daemon that is about to write some.
bool is_stream_directory(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path / "LOCK", error)) return true;
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
  if (is_stream_directory(path)) {
    const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
    return {{name.string(), directory}};
  }
  std::vector<Stream> found;
  for (const auto& entry : entries) {
    if (entry.is_directory(error) && is_stream_directory(entry.path())) {
      found.push_back({entry.path().filename().string(), entry.path().string()});
    }
  }
  std::sort(found.begin(), found.end(), [](const Stream& a, const Stream& b) { return a.name < b.name; });
  if (found.empty()) {
    throw Failure(ExitCode::usage,
                  directory + " holds no log: no segments (*.flog) in it or one level below");
  }
  return found;
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
}

void add_stream_argument(CLI::App& command, TargetOptions& options) {
  command.add_option("STREAM", options.stream, "The stream; left out: main, else the only one");
}

std::shared_ptr<const config::Config> load_config(const TargetOptions& options) {
  const bool is_default = options.config == config::kDefaultConfigPath;
  const auto loaded =
      config::load(options.config, is_default ? config::MissingFile::defaults : config::MissingFile::refused);
  if (loaded.ok()) return loaded.config;
  fmt::print(stderr, "{}", config::format_problems(loaded.problems));
  throw Failure(
      ExitCode::configuration,
      "the configuration is not usable; without one, --directory reads a log and --socket asks a daemon");
}

std::vector<Stream> find_streams(const TargetOptions& options) {
  if (!options.directory.empty()) return streams_in(options.directory);
  std::vector<Stream> streams;
  const auto config =
      load_config(options);  // held: a range-for keeps only what the expression itself returns
  for (const auto& stream : config->streams) {
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
  for (const auto& stream : streams) names.push_back(stream.name);
  if (name.empty()) {
    throw Failure(ExitCode::usage, fmt::format("which stream? There are: {}", fmt::join(names, ", ")));
  }
  throw Failure(ExitCode::usage, fmt::format("no stream {}; there are: {}", name, fmt::join(names, ", ")));
}

}  // namespace fastlogd::ctl
