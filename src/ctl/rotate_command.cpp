// fastlogctl rotate: the stream goes on in a new segment and a new text file.
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/commands.hpp"
#include "ctl/stream_request.hpp"

namespace fastlogd::ctl {

void add_rotate(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("rotate", "Start a new segment and a new text file");
  auto options = std::make_shared<TargetOptions>();
  add_control_options(*command, *options);
  add_stream_argument(*command, *options);
  command->callback([options, &exit_code] { exit_code = request_for_stream(*options, "rotate"); });
}

}  // namespace fastlogd::ctl
