#include "ctl/scan.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/clock.hpp"
#include "ctl/failure.hpp"
#include "ctl/open_log.hpp"
#include "ctl/progress.hpp"
#include "ctl/stream_facts.hpp"
#include "view/time_spec.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::uint64_t kItemsPerUpdate = 4096;

std::int64_t time_or(const std::string& text, std::int64_t otherwise) {
  if (text.empty()) return otherwise;
  const auto time = view::parse_time(text, realtime_ns());
  if (!time) throw Failure(ExitCode::usage, time.error().context);
  return *time;
}

/// How far into the log a position is, by the sizes of the files before it.
class Extent {
 public:
  explicit Extent(const Stream& stream) {
    if (auto segments = list_segment_facts(stream)) segments_ = std::move(*segments);
    for (const auto& segment : segments_) all_ += segment.disk_bytes;
  }
  [[nodiscard]] std::uint64_t all() const { return all_; }
  [[nodiscard]] std::uint64_t before(LogPosition position) const {
    std::uint64_t bytes = 0;
    for (const auto& segment : segments_) {
      if (segment.index < position.segment()) bytes += segment.disk_bytes;
    }
    return std::min(all_, bytes + position.offset());
  }

 private:
  std::vector<SegmentFacts> segments_;
  std::uint64_t all_ = 0;
};

}  // namespace

void add_scan_options(CLI::App& command, ScanArguments& arguments) {
  add_target_options(command, arguments.target);
  add_stream_argument(command, arguments.target);
  command.add_option("-S,--since", arguments.since, "Received at or after")->type_name("TIME");
  command.add_option("-U,--until", arguments.until, "Received at or before")->type_name("TIME");
  command.add_flag("--json", arguments.json, "As JSON");
}

bool scan(const ScanArguments& arguments, const std::function<void(const segment::LogItem&)>& visit) {
  const std::int64_t since = time_or(arguments.since, INT64_MIN);
  const std::int64_t until = time_or(arguments.until, INT64_MAX);
  const Stream stream = choose_stream(arguments.target);
  segment::LogReader reader = open_log(stream);
  if (since != INT64_MIN && !reader.seek_time(since)) reader.seek_oldest();
  const LogPosition end = reader.live() ? reader.committed() : LogPosition{UINT64_MAX};
  const Extent extent(stream);
  ProgressBar bar("reading " + stream.name);
  segment::LogItem item;
  for (std::uint64_t n = 0;; ++n) {
    const segment::ReadStatus status = reader.next(item);
    if (status == segment::ReadStatus::failed) {
      bar.finish();
      fmt::print(stderr, "fastlogctl: stream {}: {}\n", stream.name, reader.error().message());
      return false;
    }
    if (status == segment::ReadStatus::caught_up || item.position >= end) return true;
    if (n % kItemsPerUpdate == 0) bar.update(extent.before(item.position), extent.all());
    if (item.kind == segment::LogItem::Kind::record) {
      if (item.record.receive_time_ns < since) continue;
      if (item.record.receive_time_ns > until) {
        if (reader.in_time_order() || !reader.seek(next_segment(item.position))) return true;
        continue;
      }
    } else if (!within(item.gap, since, until)) {
      continue;
    }
    visit(item);
  }
}

}  // namespace fastlogd::ctl
