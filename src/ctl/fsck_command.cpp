// fastlogctl fsck: what a start of the daemon does with every file of a stream, and doing it.
#include <algorithm>
#include <array>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/units.hpp"
#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/table.hpp"
#include "ctl/target.hpp"
#include "segment/control_file.hpp"
#include "segment/recovery_plan.hpp"

namespace fastlogd::ctl {
namespace {

using segment::Fate;
using segment::FilePlan;
using segment::Gap;
using segment::RecoveryPlan;
using segment::RecoveryReport;

struct FsckArguments {
  TargetOptions target;
  bool dry_run = false;
  bool json = false;
};

Cell known(std::uint64_t number) {
  return number == 0 ? Cell::unknown() : Cell::of_number(number);
}

/// One row for each file; also what --json calls "files".
Table files_table(const RecoveryPlan& plan, bool all) {
  Table table({"file", "fate", "kept_bytes", "cut_bytes", "records", "first", "last", "oldest", "newest",
               "affected_first", "affected_last", "affected_from", "affected_to", "why"});
  for (const FilePlan& file : plan.files) {
    if (!all && file.fate == Fate::keep && file.why.empty()) continue;
    const bool stays = file.stays();
    const bool filled = stays && file.trailer.record_count > 0;
    const Gap affected = affected_by(plan, file);
    table.add({Cell::of_text(file.name), Cell::of_text(std::string(fate_name(file.fate))),
               Cell::of_bytes(stays ? file.trailer.end_offset : 0),
               Cell::of_bytes(file.fate == Fate::cut ? file.scan.torn_bytes : 0),
               Cell::of_number(stays ? file.trailer.record_count : 0),
               known(filled ? file.trailer.first_sequence : 0),
               known(filled ? file.trailer.last_sequence : 0),
               Cell::of_time(stays ? file.trailer.time_min_ns : 0),
               Cell::of_time(stays ? file.trailer.time_max_ns : 0), known(affected.first.value),
               known(affected.last.value), Cell::of_time(affected.from_ns), Cell::of_time(affected.to_ns),
               Cell::of_text(file.why)});
  }
  return table;
}

Table gaps_table(const RecoveryReport& report) {
  Table table({"reason", "records", "first", "last", "from", "to"});
  for (const Gap& gap : report.gaps) {
    table.add({Cell::of_text(std::string(ingress::loss_reason_name(gap.reason))), known(gap.count),
               known(gap.first.value), known(gap.last.value), Cell::of_time(gap.from_ns),
               Cell::of_time(gap.to_ns)});
  }
  return table;
}

/// Up to where the log is known to be on disk. The plan knows what its frames tell, as a segment's first frame does of
/// what was durable then; a segment has its trailer only once all of it is.
LogPosition durable_end(const RecoveryPlan& plan) {
  LogPosition durable = plan.durable;
  for (const FilePlan& file : plan.files) {
    const bool sync_failed =
        std::any_of(plan.files.begin(), plan.files.end(), [&file](const FilePlan& later) {
          return later.stays() && later.index > file.index &&
                 later.open.reason == segment::OpenReason::failed &&
                 LogPosition{later.open.durable_position}.segment() <= file.index;
        });
    if (file.fate != Fate::keep || file.trailer.state == segment::TrailerState::damaged || sync_failed) break;
    durable = std::max(durable, LogPosition::of(file.index, file.trailer.end_offset));
  }
  return durable;
}

std::array<std::uint64_t, segment::kFates> count_fates(const RecoveryPlan& plan) {
  std::array<std::uint64_t, segment::kFates> count{};
  for (const FilePlan& file : plan.files) ++count[static_cast<std::size_t>(file.fate)];
  return count;
}

void print_text(const Stream& stream, const RecoveryPlan& plan, const RecoveryReport& report, bool dry_run) {
  const Table files = files_table(plan, false);
  if (!files.empty()) fmt::print("{}", files.to_text());
  if (!report.gaps.empty())
    fmt::print("gaps that the next segment begins with:\n{}", gaps_table(report).to_text());
  fmt::print("{}: ", stream.name);
  const auto count = count_fates(plan);
  for (std::size_t fate = 0; fate < count.size(); ++fate) {
    fmt::print("{}{} {}", fate > 0 ? ", " : "", count[fate], fate_name(static_cast<Fate>(fate)));
  }
  fmt::print("; durable up to segment {}, offset {}; {} on with record {} in segment {}\n",
             durable_end(plan).segment(), durable_end(plan).offset(),
             dry_run ? "a start would go" : "the next start goes", report.next_sequence, report.next_index);
}

void print_json(const Stream& stream, const RecoveryPlan& plan, const RecoveryReport& report, bool dry_run,
                bool damaged) {
  fmt::print(
      "{{\"stream\": {}, \"directory\": {}, \"dry_run\": {}, \"damaged\": {}, \"log_uuid\": \"{}\",\n"
      "\"next_sequence\": {}, \"next_segment\": {}, \"next_epoch\": {}, \"durable_segment\": {}, "
      "\"durable_offset\": {},\n\"files\": {},\"gaps\": {}}}\n",
      Cell::of_text(stream.name).json, Cell::of_text(stream.directory).json, dry_run, damaged,
      segment::to_string(plan.log_uuid), report.next_sequence, report.next_index, report.epoch,
      durable_end(plan).segment(), durable_end(plan).offset(), files_table(plan, true).to_json(),
      gaps_table(report).to_json());
}

[[noreturn]] void give_up(const Stream& stream, const Error& error) {
  throw Failure(ExitCode::usage, fmt::format("stream {}: {}", stream.name, error.message()));
}

ExitCode fsck(const FsckArguments& arguments) {
  const Stream stream = choose_stream(arguments.target);
  FileSystem& files = posix_file_system();
  const segment::LockFacts facts = segment::look_at_lock(stream.directory);
  if (facts.held) {
    throw Failure(ExitCode::usage,
                  fmt::format("stream {}: a daemon (pid {}) has it open; stop it first, or use verify",
                              stream.name, facts.pid));
  }
  std::optional<segment::DirectoryLock> lock;  // without it, what is said is of the moment
  if (!arguments.dry_run) {
    auto acquired = segment::DirectoryLock::acquire(files, stream.directory);
    if (!acquired) give_up(stream, acquired.error());
    lock = std::move(*acquired);
  }
  const auto plan = segment::plan_recovery(files, stream.directory, facts.log_uuid);
  if (!plan) give_up(stream, plan.error());
  RecoveryReport report = conclude(*plan);
  if (lock) {
    auto done = segment::recover(files, stream.directory, facts.log_uuid);
    if (!done) give_up(stream, done.error());
    report = std::move(*done);
  }
  const bool damaged = std::any_of(report.notes.begin(), report.notes.end(),
                                   [](const segment::RecoveryNote& note) { return note.damage; });
  if (arguments.json) {
    print_json(stream, *plan, report, arguments.dry_run, damaged);
  } else {
    print_text(stream, *plan, report, arguments.dry_run);
    if (lock) {
      for (const auto& note : report.notes) fmt::print("{}: {}\n", note.file, note.text);
    }
  }
  return damaged ? ExitCode::corruption : ExitCode::done;
}

}  // namespace

void add_fsck(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("fsck", "What a start does with every file, or do it");
  auto arguments = std::make_shared<FsckArguments>();
  add_target_options(*command, arguments->target);
  add_stream_argument(*command, arguments->target);
  command->add_flag("--dry-run", arguments->dry_run, "Only say it; nothing is changed");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "Exit code: 0 nothing that a start looks at is damaged, 3 something is. Verify reads everything.");
  command->callback([arguments, &exit_code] { exit_code = fsck(*arguments); });
}

}  // namespace fastlogd::ctl
