// fastlogctl status: what the running daemon says of itself; without one, what the files say.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/control_client.hpp"
#include "ctl/reply.hpp"
#include "ctl/streams_table.hpp"
#include "segment/control_file.hpp"

namespace fastlogd::ctl {
namespace {

/// Who has one of the streams open, in words; empty: nobody.
std::string find_holder(const std::vector<Stream>& streams) {
  for (const auto& stream : streams) {
    const segment::LockFacts lock = segment::look_at_lock(stream.directory);
    if (lock.held) return fmt::format("fastlogd (pid {}) has stream {} open", lock.pid, stream.name);
  }
  return {};
}

/// `why_not_asked`: instead of the daemon, which would know more.
ExitCode show_files(const TargetOptions& options, const std::string& why_not_asked, bool json) {
  const std::vector<Stream> streams = find_streams(options);
  const StreamsTable facts = streams_table(streams);
  const std::string holder = find_holder(streams);
  const bool known = facts.forbidden.empty() || !holder.empty();
  if (json) {
    const std::string running = known ? fmt::format("\"running\": {}, ", !holder.empty()) : "";
    fmt::print("{{{}\"streams\": {}}}\n", running, facts.table.to_json());
  } else {
    fmt::print("{}", facts.table.to_text());
  }
  print_forbidden(facts);
  if (!options.directory.empty() || !known) {
    fmt::print(stderr, "fastlogctl: {}\n", why_not_asked);
  } else if (holder.empty()) {
    fmt::print(stderr, "fastlogctl: fastlogd is not running: {}\n", why_not_asked);
  } else {
    fmt::print(stderr,
               "fastlogctl: {}, but {}: where runtime_directory was changed since it started, --socket names "
               "its control socket\n",
               why_not_asked, holder);
  }
  return facts.forbidden.empty() ? ExitCode::nothing_found : ExitCode::usage;
}

ExitCode status(const TargetOptions& options, bool json) {
  if (!options.directory.empty()) {
    return show_files(options, "the daemon was not asked, because --directory was given", json);
  }
  std::string report;
  try {
    report = ask_status(control_socket_path(options));
  } catch (const NoAnswer& no_answer) {
    if (!options.socket.empty()) throw;
    return show_files(options, no_answer.what(), json);
  }
  fmt::print("{}{}", json ? report : json_for_people(report), json ? "\n" : "");
  return ExitCode::done;
}

}  // namespace

void add_status(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("status", "What runs, and how it does");
  auto options = std::make_shared<TargetOptions>();
  auto json = std::make_shared<bool>(false);
  add_target_options(*command, *options);
  command->add_flag("--json", *json, "As JSON; a stable interface");
  command->callback([options, json, &exit_code] { exit_code = status(*options, *json); });
}

}  // namespace fastlogd::ctl
