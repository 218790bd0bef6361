// fastlogctl reload: the daemon reads its configuration again; the result is waited for.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/control_client.hpp"
#include "ctl/reply.hpp"

namespace fastlogd::ctl {
namespace {

ExitCode reload(const TargetOptions& options, bool dry_run) {
  const std::string path = control_socket_path(options);
  const ParsedReply reply =
      parse_reply(control_request(path, "POST", dry_run ? "/reload?dry_run=1" : "/reload"));
  for (const auto& problem : reply.problems) fmt::print(stderr, "{}\n", problem);
  if (!reply.problems.empty()) return ExitCode::configuration;
  if (!reply.ok) {
    fmt::print(stderr, "fastlogctl: {}\n", reply.error);
    return ExitCode::nothing_found;
  }
  if (reply.changes.empty() && reply.restart_needed.empty()) fmt::print("nothing changed\n");
  for (const auto& change : reply.changes) fmt::print("{}\n", change);
  for (const auto& change : reply.restart_needed) fmt::print("needs a restart: {}\n", change);
  return ExitCode::done;
}

}  // namespace

void add_reload(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("reload", "Read the configuration again and say what changed");
  auto options = std::make_shared<TargetOptions>();
  auto dry_run = std::make_shared<bool>(false);
  add_control_options(*command, *options);
  command->add_flag("--dry-run", *dry_run, "Only say what would change");
  command->callback([options, dry_run, &exit_code] { exit_code = reload(*options, *dry_run); });
}

}  // namespace fastlogd::ctl
