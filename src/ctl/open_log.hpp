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

/// Whether something of the gap lies between the two times, both inclusive. An end that is not known may.
[[nodiscard]] bool within(const segment::Gap& gap, std::int64_t since_ns, std::int64_t until_ns);

}  // namespace fastlogd::ctl
