// Opens a stream's log for a command.
#pragma once

#include "ctl/target.hpp"
#include "segment/log_reader.hpp"

namespace fastlogd::ctl {

/// Throws Failure: nothing_found if there is no log yet, usage if it can't be opened.
[[nodiscard]] segment::LogReader open_log(const Stream& stream);

/// The start of the segment behind (before) the one of `position`.
[[nodiscard]] LogPosition next_segment(LogPosition position);
[[nodiscard]] LogPosition segment_start(LogPosition position);

/// Damage that the reader came upon by itself. What a start has found and written down as a gap is history.
[[nodiscard]] bool is_damage(const segment::LogItem& item);
/// Says on standard error that what was shown is not all there was.
void warn_of_damage(const Stream& stream);

/// Whether something of the gap lies between the two times, both inclusive. An end that is not known may.
[[nodiscard]] bool within(const segment::Gap& gap, std::int64_t since_ns, std::int64_t until_ns);

}  // namespace fastlogd::ctl
