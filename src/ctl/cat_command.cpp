// fastlogctl cat: a stream from its oldest record to its newest.
#include <memory>

#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "ctl/commands.hpp"
#include "ctl/read_log.hpp"

namespace fastlogd::ctl {

void add_cat(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("cat", "Show records from the oldest to the newest");
  auto arguments = std::make_shared<ReadArguments>();
  command->add_flag("-r,--reverse", arguments->reverse, "Newest first");
  command->add_option("-g,--grep", arguments->pattern, "Messages that match; all lower case ignores case")
      ->type_name("PATTERN");
  add_read_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = read_log(understand(*arguments, realtime_ns())); });
}

}  // namespace fastlogd::ctl
