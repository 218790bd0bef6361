// fastlogctl segments: the files of a stream.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/stream_facts.hpp"
#include "ctl/table.hpp"

namespace fastlogd::ctl {
namespace {

ExitCode list_segments_of(const TargetOptions& options, bool json) {
  const Stream stream = choose_stream(options);
  const auto segments = list_segment_facts(stream);
  if (!segments) throw Failure(ExitCode::usage, segments.error().message());
  Table table({"segment", "state", "epoch", "file_bytes", "disk_bytes", "records", "first", "last", "oldest",
               "newest"});
  for (const auto& facts : *segments) {
    table.add({Cell::of_number(facts.index), Cell::of_text(std::string(facts.state)),
               Cell::of_number(facts.epoch), Cell::of_bytes(facts.file_bytes),
               Cell::of_bytes(facts.disk_bytes),
               facts.records ? Cell::of_number(*facts.records) : Cell::unknown(),
               Cell::of_known(facts.first_sequence), Cell::of_known(facts.last_sequence),
               Cell::of_time(facts.first_time_ns), Cell::of_time(facts.last_time_ns)});
  }
  fmt::print("{}", json ? table.to_json() : table.to_text());
  return table.empty() ? ExitCode::nothing_found : ExitCode::done;
}

}  // namespace

void add_segments(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("segments", "List a stream's segment files");
  auto options = std::make_shared<TargetOptions>();
  auto json = std::make_shared<bool>(false);
  add_target_options(*command, *options);
  add_stream_argument(*command, *options);
  command->add_flag("--json", *json, "As JSON");
  command->callback([options, json, &exit_code] { exit_code = list_segments_of(*options, *json); });
}

}  // namespace fastlogd::ctl
