// fastlogctl status: what the running daemon says of itself; without one, what the files say.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/control_client.hpp"
#include "ctl/failure.hpp"
#include "ctl/reply.hpp"
#include "ctl/streams_table.hpp"

namespace fastlogd::ctl {
namespace {

ExitCode show_files(const TargetOptions& options, const std::string& why, bool json) {
  const Table table = streams_table(options);
  if (json) {
    fmt::print("{{\"running\": false, \"streams\": {}}}\n", table.to_json());
  } else {
    fmt::print("{}", table.to_text());
  }
  fmt::print(stderr, "fastlogctl: fastlogd is not running: {}\n", why);
  return ExitCode::nothing_found;
}

ExitCode status(const TargetOptions& options, bool json) {
  if (!options.directory.empty()) return show_files(options, "--directory was given", json);
  ControlReply reply;
  try {
    reply = control_request(control_socket_path(options), "GET", "/status");
  } catch (const Failure& failure) {
    if (failure.code() != ExitCode::nothing_found || !options.socket.empty()) throw;
    return show_files(options, failure.what(), json);
  }
  if (reply.status != 200) {
    fmt::print(stderr, "fastlogctl: status: {}\n", parse_reply(reply).error);
    return ExitCode::nothing_found;
  }
  fmt::print("{}{}", json ? reply.body : json_for_people(reply.body), json ? "\n" : "");
  return ExitCode::done;
}

}  // namespace

void add_status(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("status", "What runs, and how it does");
  auto options = std::make_shared<TargetOptions>();
  auto json = std::make_shared<bool>(false);
  add_target_options(*command, *options);
  command
      ->add_option("--socket", options->socket,
                   "The daemon's control socket, without asking the configuration")
      ->type_name("PATH");
  command->add_flag("--json", *json, "As JSON; a stable interface");
  command->callback([options, json, &exit_code] { exit_code = status(*options, *json); });
}

}  // namespace fastlogd::ctl
