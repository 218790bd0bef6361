// fastlogctl sync: returns when everything that was stored before is on disk.
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/commands.hpp"
#include "ctl/stream_request.hpp"

namespace fastlogd::ctl {

void add_sync(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("sync", "Wait until everything stored so far is on disk");
  auto options = std::make_shared<TargetOptions>();
  add_control_options(*command, *options);
  add_stream_argument(*command, *options);
  command->callback([options, &exit_code] { exit_code = request_for_stream(*options, "sync"); });
}

}  // namespace fastlogd::ctl
