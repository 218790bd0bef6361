#include "ctl/open_log.hpp"

#include <fmt/format.h>

#include "ctl/failure.hpp"
#include "segment/format.hpp"

namespace fastlogd::ctl {

segment::LogReader open_log(const Stream& stream) {
  auto reader = segment::LogReader::open(stream.directory, segment::Access::mapped);
  if (reader) return std::move(*reader);
  const std::string what = fmt::format("stream {}: {}", stream.name, reader.error().message());
  if (reader.error().code != std::errc::no_such_file_or_directory) throw Failure(ExitCode::usage, what);
  throw Failure(
      ExitCode::nothing_found,
      what + "; where the directory was changed since fastlogd started, --socket knows the old one");
}

LogPosition segment_start(LogPosition position) {
  return LogPosition::of(position.segment(), segment::kHeaderBytes);
}

LogPosition next_segment(LogPosition position) {
  return LogPosition::of(position.segment() + 1, segment::kHeaderBytes);
}

bool is_damage(const segment::LogItem& item) {
  return item.kind == segment::LogItem::Kind::gap && item.frame.empty() &&
         item.gap.reason == ingress::LossReason::damaged;
}

void warn_of_damage(const Stream& stream) {
  fmt::print(stderr, "fastlogctl: stream {}: records are missing because of damage; verify says where\n",
             stream.name);
}

bool within(const segment::Gap& gap, std::int64_t since_ns, std::int64_t until_ns) {
  const bool before = gap.to_ns != 0 && gap.to_ns < since_ns;
  const bool behind = gap.from_ns != 0 && gap.from_ns > until_ns;
  return !before && !behind;
}

}  // namespace fastlogd::ctl
