// fastlogctl gaps: what was lost, and why.
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/scan.hpp"
#include "ctl/table.hpp"

namespace fastlogd::ctl {
namespace {

bool may_be_there(const segment::Gap& gap) {
  return gap.reason == ingress::LossReason::durability_unknown;
}

/// A reader that finds numbers missing says so, and the GAP frame that recovery wrote about it comes later: one loss,
/// and the frame knows more of it. One of records that may be there knows less.
void add_once(std::vector<segment::Gap>& gaps, const segment::Gap& gap) {
  if (gap.numbered()) {
    std::erase_if(gaps, [&](const segment::Gap& told) {
      const bool says_less = may_be_there(told) || !may_be_there(gap);
      return says_less && told.numbered() && told.first >= gap.first && told.last <= gap.last;
    });
  }
  gaps.push_back(gap);
}

ExitCode list_gaps(const ScanArguments& arguments) {
  std::vector<segment::Gap> gaps;
  const bool complete = scan(arguments, [&](const segment::LogItem& item) {
    if (item.kind == segment::LogItem::Kind::gap) add_once(gaps, item.gap);
  });
  Table table({"reason", "records", "first", "last", "from", "to"});
  std::uint64_t lost = 0;
  std::uint64_t uncertain = 0;
  for (const segment::Gap& gap : gaps) {
    (may_be_there(gap) ? uncertain : lost) += gap.count;
    const std::string reason(
        gap.reason == ingress::LossReason::none ? "unaccounted" : ingress::stored_reason_name(gap.reason));
    table.add({Cell::of_text(reason), Cell::of_known(gap.count), Cell::of_known(gap.first.value),
               Cell::of_known(gap.last.value), Cell::of_time(gap.from_ns), Cell::of_time(gap.to_ns)});
  }
  if (arguments.json) {
    fmt::print("{}", table.to_json());
  } else if (table.empty()) {
    fmt::print("no gaps\n");
  } else {
    const std::string rest = uncertain == 0 ? "" : fmt::format(", {} may not be on disk", uncertain);
    fmt::print("{}{} records lost in all{}\n", table.to_text(), lost, rest);
  }
  if (!complete) return ExitCode::corruption;
  return table.empty() ? ExitCode::nothing_found : ExitCode::done;
}

}  // namespace

void add_gaps(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("gaps", "List what was lost and why");
  auto arguments = std::make_shared<ScanArguments>();
  add_scan_options(*command, *arguments);
  command->footer("Exit code: 0 there are gaps, 1 there are none.");
  command->callback([arguments, &exit_code] { exit_code = list_gaps(*arguments); });
}

}  // namespace fastlogd::ctl
