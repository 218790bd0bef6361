#include "follow/log_line_source.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/diagnostics.hpp"
#include "base/host_name.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::follow {
namespace {

view::TextOptions line_format() {
  view::TextOptions options;
  options.format = view::OutputFormat::short_form;
  options.escape = true;
  options.local_host = local_host_name();
  return options;
}

view::GapView view_of(const segment::Gap& gap) {
  return {gap.reason, gap.count, gap.first, gap.last, gap.from_ns, gap.to_ns};
}

}  // namespace

Result<std::unique_ptr<LogLineSource>> LogLineSource::open(const std::string& directory,
                                                           std::uint64_t segment_bytes, FileSystem& files) {
  auto reader = segment::LogReader::open(directory, segment::Access::pread, files);
  if (!reader) return reader.error();
  return std::unique_ptr<LogLineSource>(new LogLineSource(std::move(*reader), segment_bytes));
}

LogLineSource::LogLineSource(segment::LogReader reader, std::uint64_t segment_bytes)
    : reader_(std::move(reader)), renderer_(line_format()), segment_bytes_(segment_bytes) {}

Fill LogLineSource::fill(TextBuffer& into, std::size_t bytes_target) {
  Fill fill;
  segment::LogItem item;
  while (into.size() < bytes_target) {
    switch (reader_.next(item)) {
      case segment::ReadStatus::item:
        break;
      case segment::ReadStatus::caught_up:
        fill.status = FillStatus::caught_up;
        return fill;
      case segment::ReadStatus::failed:
        fill.status = FillStatus::failed;
        return fill;
    }
    if (item.kind == segment::LogItem::Kind::gap) {
      append_gap(into, item.gap, fill);
      continue;
    }
    // A reader tells what is missing, but where its place was gone and it had to go on by number.
    const Sequence due{last_.value + 1};
    if (last_.value != 0 && item.record.sequence > due) {
      append_gap(into,
                 segment::Gap{.reason = ingress::LossReason::damaged,
                              .count = item.record.sequence.value - due.value,
                              .first = due,
                              .last = Sequence{item.record.sequence.value - 1}},
                 fill);
    }
    renderer_.append(into, item.record);
    last_ = item.record.sequence;
    ++fill.lines;
  }
  fill.status = FillStatus::more;
  return fill;
}

void LogLineSource::append_gap(TextBuffer& into, const segment::Gap& gap, Fill& fill) {
  renderer_.append_gap(into, view_of(gap));
  ++fill.lines;
  if (gap.numbered()) last_ = std::max(last_, gap.last);
  if (gap.reason == ingress::LossReason::retention) ++fill.overtaken;
}

Result<> LogLineSource::seek(LogPosition position, Sequence last) {
  if (position.segment() == 0) {  // stored before anything had been read: segments count from 1
    seek_oldest();
    return {};
  }
  auto found = reader_.seek(position, last);
  if (found) {
    const Sequence due = reader_.expected();  // the log may have lost its end since
    last_ = Sequence{std::max<std::uint64_t>(due.value, 1) - 1};
    return found;
  }
  if (!segment::is_bad_segment(found.error())) return found;
  last_ = last;
  auto by_number = reader_.seek_sequence(Sequence{last.value + 1});
  if (by_number) {
    diag::warning("the text file's place in the log is unknown ({}); going on behind record {}",
                  found.error().message(), last.value);
  }
  return by_number;
}

void LogLineSource::seek_oldest() {
  last_ = Sequence{};
  reader_.seek_oldest();
}

/// Positions of different segments have no distance of their own: whole segments in between count fully.
std::uint64_t LogLineSource::lag_bytes() const {
  const LogPosition from = reader_.position();
  const LogPosition to = reader_.committed();
  if (to <= from) return 0;
  return (to.segment() - from.segment()) * segment_bytes_ + to.offset() - from.offset();
}

}  // namespace fastlogd::follow
