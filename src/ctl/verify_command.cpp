// fastlogctl verify: every checksum, sequence number and gap of a stream.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/units.hpp"
#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/progress.hpp"
#include "ctl/target.hpp"
#include "segment/verify.hpp"

namespace fastlogd::ctl {
namespace {

const char* kind_name(segment::Finding::Kind kind) {
  switch (kind) {
    case segment::Finding::Kind::damage:
      return "damage";
    case segment::Finding::Kind::unaccounted_gap:
      return "unaccounted gap";
    case segment::Finding::Kind::note:
      return "note";
  }
  return "";
}

void print_report(const Stream& stream, const segment::VerifyReport& report) {
  for (const auto& finding : report.findings) {
    fmt::print("{}: {} at offset {}: {}\n", kind_name(finding.kind), finding.file, finding.offset,
               finding.text);
  }
  fmt::print("{}: {} records ({}..{}) in {} segment{}, {} read; {} gaps account for {} lost records\n",
             stream.name, report.records, report.first_sequence, report.last_sequence, report.segments,
             report.segments == 1 ? "" : "s", format_bytes(report.bytes), report.gaps, report.reported_lost);
  if (report.damaged()) {
    fmt::print("{}: DAMAGED\n", stream.name);
  } else if (report.has_unaccounted_gap()) {
    fmt::print("{}: records are missing and nothing says why\n", stream.name);
  } else {
    fmt::print("{}: sound\n", stream.name);
  }
}

ExitCode verify(const TargetOptions& options) {
  const Stream stream = choose_stream(options);
  ProgressBar bar("verify " + stream.name);
  const auto report = segment::verify_directory(
      stream.directory, [&bar](std::uint64_t done, std::uint64_t all) { bar.update(done, all); });
  bar.finish();
  if (!report)
    throw Failure(ExitCode::usage, fmt::format("stream {}: {}", stream.name, report.error().message()));
  print_report(stream, *report);
  if (report->damaged()) return ExitCode::corruption;
  return report->has_unaccounted_gap() ? ExitCode::nothing_found : ExitCode::done;
}

}  // namespace

void add_verify(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("verify", "Check every checksum, sequence number and gap");
  auto options = std::make_shared<TargetOptions>();
  add_target_options(*command, *options);
  add_stream_argument(*command, *options);
  command->footer("Exit code: 0 sound, 3 damage, 1 records are missing and no gap says why.");
  command->callback([options, &exit_code] { exit_code = verify(*options); });
}

}  // namespace fastlogd::ctl
