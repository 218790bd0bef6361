// fastlogctl usage: who writes how much.
#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/open_log.hpp"
#include "ctl/scan.hpp"
#include "ctl/table.hpp"

namespace fastlogd::ctl {
namespace {

struct Writer {
  std::string identifier;
  std::string host;
  Transport transport = Transport::unknown;
  std::uint32_t uid = kUnknownId;
};

struct Use {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::int64_t last_time_ns = 0;
};

/// Adds up by identifier, host, transport and user; a process that starts again is the same writer.
class UsageCount {
 public:
  void add(const RecordView& record) {
    const SourceView& source = record.source;
    const auto found = uses_.find(std::tie(source.identifier, source.host, source.transport, source.uid));
    Use& use = found != uses_.end() ? found->second : uses_[owned(source)];
    ++use.records;
    use.bytes += record.slice.size();
    use.last_time_ns = std::max(use.last_time_ns, record.receive_time_ns);
  }

  /// Largest first.
  [[nodiscard]] std::vector<std::pair<Writer, Use>> sorted() const {
    std::vector<std::pair<Writer, Use>> all;
    all.reserve(uses_.size());
    for (const auto& [key, use] : uses_) {
      all.push_back({{std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key)}, use});
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
    return all;
  }

 private:
  using Key = std::tuple<std::string, std::string, Transport, std::uint32_t>;
  static Key owned(const SourceView& source) {
    return {std::string(source.identifier), std::string(source.host), source.transport, source.uid};
  }
  std::map<Key, Use, std::less<>> uses_;
};

ExitCode show_usage(const ScanArguments& arguments) {
  UsageCount count;
  bool damaged = false;
  const bool complete = scan(arguments, [&](const segment::LogItem& item) {
    damaged = damaged || is_damage(item);
    if (item.kind == segment::LogItem::Kind::record) count.add(item.record);
  });
  Table table({"identifier", "host", "transport", "uid", "records", "message_bytes", "last"});
  for (const auto& [writer, use] : count.sorted()) {
    table.add({Cell::of_text(writer.identifier), Cell::of_text(writer.host),
               Cell::of_text(std::string(transport_name(writer.transport))),
               writer.uid == kUnknownId ? Cell::unknown() : Cell::of_number(writer.uid),
               Cell::of_number(use.records), Cell::of_bytes(use.bytes), Cell::of_time(use.last_time_ns)});
  }
  fmt::print("{}", arguments.json ? table.to_json() : table.to_text());
  if (damaged) warn_of_damage(choose_stream(arguments.target));
  if (!complete || damaged) return ExitCode::corruption;
  return table.empty() ? ExitCode::nothing_found : ExitCode::done;
}

}  // namespace

void add_usage(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("usage", "Who writes how much");
  auto arguments = std::make_shared<ScanArguments>();
  add_scan_options(*command, *arguments);
  command->callback([arguments, &exit_code] { exit_code = show_usage(*arguments); });
}

}  // namespace fastlogd::ctl
