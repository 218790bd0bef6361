// fastlogctl streams: which streams there are and what their files hold.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/stream_facts.hpp"
#include "ctl/streams_table.hpp"

namespace fastlogd::ctl {

Table streams_table(const TargetOptions& options) {
  Table table({"stream", "live", "segments", "disk_bytes", "first", "last", "oldest", "newest", "directory"});
  for (const auto& stream : find_streams(options)) {
    const StreamFacts facts = stream_facts(stream);
    table.add({Cell::of_text(stream.name), Cell::of_bool(facts.live, "live", "closed"),
               Cell::of_number(facts.segments), Cell::of_bytes(facts.disk_bytes),
               Cell::of_number(facts.first_sequence), Cell::of_number(facts.last_sequence),
               Cell::of_time(facts.first_time_ns), Cell::of_time(facts.last_time_ns),
               Cell::of_text(stream.directory)});
  }
  return table;
}

void add_streams(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("streams", "List the streams and what they hold");
  auto options = std::make_shared<TargetOptions>();
  auto json = std::make_shared<bool>(false);
  add_target_options(*command, *options);
  command->add_flag("--json", *json, "As JSON");
  command->callback([options, json, &exit_code] {
    const Table table = streams_table(*options);
    fmt::print("{}", *json ? table.to_json() : table.to_text());
    exit_code = ExitCode::done;
  });
}

}  // namespace fastlogd::ctl
