// Jumps close to a record within one segment, by its INDEX frames where they are sound.
#pragma once

#include <cstdint>
#include <functional>

#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {

/// True of every record (and of what stands before it) in front of the one that is sought.
using BeforeKey = std::function<bool(std::uint64_t sequence, std::int64_t time_ns)>;

/// Stands `cursor` at or in front of the first record that is not before the key: at most kIndexStepBytes away if an
/// INDEX tells of it, else at the start of its block. An INDEX is only believed where the frame it names is there.
/// `limit` as in SegmentCursor::next().
[[nodiscard]] Result<> seek_near(SegmentCursor& cursor, std::uint64_t limit, const BeforeKey& before);

}  // namespace fastlogd::segment
