#include "ctl/stream_facts.hpp"

#include <sys/stat.h>

#include <system_error>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::ctl {
namespace {

std::string_view state_name(segment::TrailerState state) {
  switch (state) {
    case segment::TrailerState::sealed:
      return "sealed";
    case segment::TrailerState::recovered:
      return "recovered";
    case segment::TrailerState::damaged:
      return "damaged";
  }
  return "unknown";
}

std::string_view open_state(std::uint64_t index, const std::optional<segment::ControlReader>& control) {
  if (!control) return "unsealed";
  const std::uint64_t active = control->committed().segment();
  if (index == active) return "active";
  return index > active ? "ready" : "unsealed";
}

bool is_forbidden(const Error& error) {
  return error.code == std::errc::permission_denied || error.code == std::errc::operation_not_permitted;
}

SegmentFacts facts_of(FileSystem& files, const std::string& directory, std::uint64_t index,
                      const std::optional<segment::ControlReader>& control) {
  SegmentFacts facts{.index = index, .state = "unreadable"};
  if (const auto info = files.status(segment::segment_path(directory, index))) {
    facts.file_bytes = static_cast<std::uint64_t>(info->st_size);
    facts.disk_bytes = static_cast<std::uint64_t>(info->st_blocks) * 512;  // stat(2): units of 512 bytes
  }
  const auto opened = segment::open_segment(files, directory, index);
  if (!opened) return facts;
  facts.epoch = opened->header.epoch;
  if (!opened->trailer) {
    facts.state = open_state(index, control);
    return facts;
  }
  const segment::FileTrailer& trailer = *opened->trailer;
  facts.state = state_name(trailer.state);
  facts.records = trailer.record_count;
  if (trailer.record_count > 0) {
    facts.first_sequence = trailer.first_sequence;
    facts.last_sequence = trailer.last_sequence;
    facts.first_time_ns = trailer.time_min_ns;
    facts.last_time_ns = trailer.time_max_ns;
  }
  return facts;
}

}  // namespace

Result<std::vector<SegmentFacts>> list_segment_facts(const Stream& stream) {
  FileSystem& files = posix_file_system();
  const auto indices = segment::list_segments(files, stream.directory);
  if (!indices) return indices.error();
  const auto control = segment::ControlReader::open(stream.directory);
  std::vector<SegmentFacts> all;
  for (const std::uint64_t index : *indices) all.push_back(facts_of(files, stream.directory, index, control));
  return all;
}

Result<StreamFacts> stream_facts(const Stream& stream) {
  StreamFacts facts;
  const auto segments = list_segment_facts(stream);
  if (!segments && is_forbidden(segments.error())) return segments.error();
  if (segments) {
    facts.segments = segments->size();
    for (const auto& segment : *segments) facts.disk_bytes += segment.disk_bytes;
  }
  auto reader = segment::LogReader::open(stream.directory, segment::Access::mapped);
  if (!reader) return facts;
  facts.live = reader->live();
  segment::LogItem item;
  using Kind = segment::LogItem::Kind;
  using segment::ReadStatus;
  ReadStatus status = ReadStatus::item;
  while ((status = reader->next(item)) == ReadStatus::item) {
    if (item.kind != Kind::record) continue;
    facts.first_sequence = item.record.sequence.value;
    facts.first_time_ns = item.record.receive_time_ns;
    break;
  }
  if (status == ReadStatus::failed && is_forbidden(reader->error())) return reader->error();
  reader->seek_end();
  while (reader->previous(item) == ReadStatus::item) {
    if (item.kind != Kind::record) continue;
    facts.last_sequence = item.record.sequence.value;
    facts.last_time_ns = item.record.receive_time_ns;
    break;
  }
  return facts;
}

}  // namespace fastlogd::ctl
