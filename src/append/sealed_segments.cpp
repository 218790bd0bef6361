#include "append/sealed_segments.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::append {

void SealedSegments::add_sealed(const segment::SegmentInfo& sealed, bool on_disk) {
  sealed_.push_back(sealed);
  if (on_disk) newest_on_disk_ = std::max(newest_on_disk_, sealed.index);
  bytes_ += sealed.disk_bytes;
}

void SealedSegments::apply_retention(const Retention& rules, std::uint64_t other_bytes) {
  while (rules.bytes_max != 0 && !sealed_.empty() && bytes_ + other_bytes > rules.bytes_max) {
    if (!remove_oldest()) return;
  }
  const std::int64_t too_old = realtime_ns() - rules.age_max.count();
  while (rules.age_max.count() != 0 && !sealed_.empty() && sealed_.front().last_time_ns < too_old) {
    if (!remove_oldest()) return;
  }
  if (rules.keep_free == 0 || sealed_.empty()) return;
  const auto free = files_.free_bytes(directory_);
  if (free && *free < rules.keep_free) free_up(rules.keep_free - *free);
}

bool SealedSegments::free_up(std::uint64_t bytes) {
  bool any = false;
  for (std::uint64_t freed = 0; freed < bytes;) {
    const auto removed = remove_oldest();
    if (!removed) break;
    any = true;
    freed += *removed;
  }
  return any;
}

/// True unless a newer one is on disk, sealed or as far as it is durable. A start learns the next numbers from the newest
/// one that a power loss has left; what lies behind a failed sync may all be gone.
bool SealedSegments::is_last_on_disk(std::uint64_t index) const {
  const LogPosition durable = control_.durable();
  const std::uint64_t newest = std::max(newest_on_disk_, durable.offset() != 0 ? durable.segment() : 0);
  return index >= newest;
}

std::optional<std::uint64_t> SealedSegments::remove_oldest() {
  if (sealed_.empty() || is_last_on_disk(sealed_.front().index)) return std::nullopt;
  const segment::SegmentInfo oldest = sealed_.front();
  // First tell readers, then take the file away; one that has it mapped keeps it.
  control_.set_oldest(LogPosition::of(oldest.index + 1, segment::kHeaderBytes));
  const auto done = files_.unlink(segment::segment_path(directory_, oldest.index));
  if (!done && done.error().code != std::errc::no_such_file_or_directory) {
    trouble_.log(diag::Level::error, "retention: {}", done.error().message());
    counters_.housekeeping_errors.add();
    return std::nullopt;
  }
  (void)files_.sync_directory(directory_);
  sealed_.pop_front();
  bytes_ -= oldest.disk_bytes;
  counters_.segments_removed.add();
  return oldest.disk_bytes;
}

}  // namespace fastlogd::append
