// fastlogctl tail: the newest records, then what comes.
#include <memory>

#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "ctl/commands.hpp"
#include "ctl/read_log.hpp"

namespace fastlogd::ctl {

void add_tail(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("tail", "Show the newest records, and follow with -f");
  auto arguments = std::make_shared<ReadArguments>();
  command
      ->add_option("-n,--lines", arguments->lines,
                   "How many, or all; default 10, all with --since or a cursor")
      ->type_name("N");
  command->add_flag("-f,--follow", arguments->follow, "Go on with records as they come");
  command->add_flag("-r,--reverse", arguments->reverse, "Newest first");
  command->add_option("-g,--grep", arguments->pattern, "Messages that match; all lower case ignores case")
      ->type_name("PATTERN");
  add_read_options(*command, *arguments);
  command->callback([arguments, &exit_code] {
    const bool has_start = !arguments->since.empty() || !arguments->after_cursor.empty();
    if (arguments->lines.empty()) arguments->lines = has_start ? "all" : "10";
    exit_code = read_log(understand(*arguments, realtime_ns()));
  });
}

}  // namespace fastlogd::ctl
