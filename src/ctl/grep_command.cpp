// fastlogctl grep: records whose message matches a pattern.
#include <memory>

#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "ctl/commands.hpp"
#include "ctl/read_log.hpp"

namespace fastlogd::ctl {

void add_grep(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("grep", "Show records whose message matches");
  auto arguments = std::make_shared<ReadArguments>();
  command->add_option("PATTERN", arguments->pattern, "RE2 syntax; all lower case ignores case")->required();
  command->add_flag("-r,--reverse", arguments->reverse, "Newest first");
  add_read_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = read_log(understand(*arguments, realtime_ns())); });
}

}  // namespace fastlogd::ctl
