#include "ctl/open_log.hpp"

#include <fmt/format.h>

#include "ctl/failure.hpp"
#include "segment/format.hpp"

namespace fastlogd::ctl {

segment::LogReader open_log(const Stream& stream) {
  auto reader = segment::LogReader::open(stream.directory, segment::Access::mapped);
  if (reader) return std::move(*reader);
  const bool absent = reader.error().code == std::errc::no_such_file_or_directory;
  throw Failure(absent ? ExitCode::nothing_found : ExitCode::usage,
                fmt::format("stream {}: {}", stream.name, reader.error().message()));
}

LogPosition segment_start(LogPosition position) {
  return LogPosition::of(position.segment(), segment::kHeaderBytes);
}

LogPosition next_segment(LogPosition position) {
  return LogPosition::of(position.segment() + 1, segment::kHeaderBytes);
}

bool within(const segment::Gap& gap, std::int64_t since_ns, std::int64_t until_ns) {
  const bool before = gap.to_ns != 0 && gap.to_ns < since_ns;
  const bool behind = gap.from_ns != 0 && gap.from_ns > until_ns;
  return !before && !behind;
}

}  // namespace fastlogd::ctl
