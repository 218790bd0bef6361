// fastlogctl grep: records whose message matches a pattern.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "ctl/commands.hpp"
#include "ctl/read_log.hpp"

namespace fastlogd::ctl {

void add_grep(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("grep", "Show records whose message matches");
  auto arguments = std::make_shared<ReadArguments>();
  auto pattern = std::make_shared<std::string>();
  const auto* positional =
      command->add_option("PATTERN", *pattern, "RE2 syntax; all lower case ignores case; left out with -g");
  const auto* option = command
                           ->add_option("-g,--grep", arguments->pattern,
                                        "The pattern; all other words are STREAM and conditions then")
                           ->type_name("PATTERN");
  command->add_flag("-r,--reverse", arguments->reverse, "Newest first");
  add_read_options(*command, *arguments);
  command->callback([=, &exit_code] {
    const bool has_word = positional->count() > 0;
    if (option->count() == 0) {
      if (!has_word) throw CLI::RequiredError("PATTERN or --grep");
      arguments->pattern = *pattern;
    } else if (has_word) {  // the parser gives the first word that place, whatever was said before it
      arguments->words.insert(arguments->words.begin(), *pattern);
    }
    exit_code = read_log(understand(*arguments, realtime_ns()));
  });
}

}  // namespace fastlogd::ctl
