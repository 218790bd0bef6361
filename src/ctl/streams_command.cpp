// fastlogctl streams: which streams there are and what their files hold.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/stream_facts.hpp"
#include "ctl/streams_table.hpp"

namespace fastlogd::ctl {

StreamsTable streams_table(const std::vector<Stream>& streams) {
  StreamsTable all{.table = Table({"stream", "live", "segments", "disk_bytes", "first", "last", "oldest",
                                   "newest", "directory"}),
                   .forbidden = {}};
  for (const auto& stream : streams) {
    const auto facts = stream_facts(stream);
    if (!facts) {
      all.forbidden.push_back(fmt::format("stream {}: {}", stream.name, facts.error().message()));
      std::vector<Cell> row(9, Cell::unknown());
      row.front() = Cell::of_text(stream.name);
      row.back() = Cell::of_text(stream.directory);
      all.table.add(std::move(row));
      continue;
    }
    all.table.add({Cell::of_text(stream.name), Cell::of_bool(facts->live, "live", "closed"),
                   Cell::of_number(facts->segments), Cell::of_bytes(facts->disk_bytes),
                   Cell::of_number(facts->first_sequence), Cell::of_number(facts->last_sequence),
                   Cell::of_time(facts->first_time_ns), Cell::of_time(facts->last_time_ns),
                   Cell::of_text(stream.directory)});
  }
  return all;
}

void print_forbidden(const StreamsTable& streams) {
  for (const std::string& one : streams.forbidden) fmt::print(stderr, "fastlogctl: {}\n", one);
}

void add_streams(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("streams", "List the streams and what they hold");
  auto options = std::make_shared<TargetOptions>();
  auto json = std::make_shared<bool>(false);
  add_target_options(*command, *options);
  command->add_flag("--json", *json, "As JSON");
  command->callback([options, json, &exit_code] {
    const StreamsTable streams = streams_table(find_streams(*options));
    fmt::print("{}", *json ? streams.table.to_json() : streams.table.to_text());
    print_forbidden(streams);
    exit_code = streams.forbidden.empty() ? ExitCode::done : ExitCode::usage;
  });
}

}  // namespace fastlogd::ctl
