// Whether the disk holds what a dead process has left in the page cache.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "record/record_view.hpp"
#include "segment/recovery.hpp"

namespace fastlogd::segment {

struct DiskCheck {
  std::vector<RecoveryNote> notes;
  /// First record of the oldest segment that the disk neither holds nor takes. Nothing: it holds all of them.
  std::optional<Sequence> unknown_from;
};

// clang-format off
/// For the start behind a process crash of this boot, with the directory locked and before recover().
///
/// A write-back error is told to one fdatasync of each descriptor that was open. A process that was told and died has
/// taken the news with it: the pages are clean and wrong, the next fdatasync returns 0, and a read shows the records from
/// the cache. So every segment without a trailer that was made in this boot (after another one there is no cache to
/// doubt) is synced, and then its used part is compared with what an O_DIRECT read brings from the disk. Pages that
/// differ are written again from the cache, synced, and compared once more.
///
/// Never fails a start: where it isn't possible (no O_DIRECT on this file system) a note says so. open(2), "O_DIRECT".
// clang-format on
[[nodiscard]] DiskCheck confirm_on_disk(FileSystem& files, const std::string& directory, const Uuid& boot_id);

}  // namespace fastlogd::segment
