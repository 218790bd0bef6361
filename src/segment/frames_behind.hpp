// What is left of numbers where a segment is damaged: nobody may read these records any more, but readers may have seen them,
// so that their numbers are not given out again.
#pragma once

#include <cstdint>

#include "base/file_system.hpp"
#include "segment/format.hpp"

namespace fastlogd::segment {

/// The highest number that a whole frame tells of, and that frame's time: a record's own number, else the one before what the
/// frame says comes next. 0: no frame is whole.
struct FramesBehind {
  std::uint64_t told_sequence = 0;
  std::int64_t told_time_ns = 0;
};

/// Looks at every place from `from` to the end of the frames, and passes over what can't be read. Reads all of it that is no
/// hole: meant for damage alone. `fd` is open for reading; `from` is a multiple of 8.
[[nodiscard]] FramesBehind look_at_frames(FileSystem& files, int fd, const FileHeader& header,
                                          std::uint64_t from);

}  // namespace fastlogd::segment
