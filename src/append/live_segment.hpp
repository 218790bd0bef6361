// The segments that are being prepared, written or sealed, and who may touch what of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "segment/segment_file.hpp"

namespace fastlogd::append {

/// One segment from its preparation to its seal. The housekeeper makes and destroys it; between take and retire the
/// appender writes into its mapping. Once `retired` is set the appender never touches it again.
struct LiveSegment {
  static constexpr std::uint64_t kAllPopulated = ~std::uint64_t{0};

  segment::PreparedSegment file;
  std::atomic<std::uint64_t> populated_to{
      0};  ///< populator: pages below are in the page cache, writable; kAllPopulated: nothing is mapped
  std::atomic<bool> retired{false};  ///< appender, with release, after `trailer`
  segment::FileTrailer trailer{};
  std::mutex sync_mutex;  ///< one fdatasync at a time: of two at once only one would be told of an error
  bool on_disk = false;   ///< under sync_mutex: synced after it was retired, so all of it is there
  /// A sync or a store failed: final. Who finds out sets it, with release; it is never sealed then.
  std::atomic<bool> failed{false};
};

/// Segments by index, for the threads that are not the appender. The lock is never held across a system call, and the
/// appender never takes it.
class LiveSegments {
 public:
  void add(std::shared_ptr<LiveSegment> segment) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t index = segment->file.header.index;
    by_index_.emplace(index, std::move(segment));
  }
  void remove(std::uint64_t index) {
    std::shared_ptr<LiveSegment> last;  // unmapping happens behind the lock
    const std::lock_guard lock(mutex_);
    if (const auto found = by_index_.find(index); found != by_index_.end()) {
      last = std::move(found->second);
      by_index_.erase(found);
    }
  }
  /// As remove(), and remembers that it failed: failed() says so for as long as anybody may ask.
  void remove_failed(std::uint64_t index) {
    {
      // First: who no longer finds it takes it for sealed.
      const std::lock_guard lock(mutex_);
      failed_.insert(index);
    }
    remove(index);
  }
  [[nodiscard]] bool failed(std::uint64_t index) const {
    const std::lock_guard lock(mutex_);
    return failed_.contains(index);
  }
  /// One of this index or behind it has failed, whether it still lives or not.
  [[nodiscard]] bool any_failed_from(std::uint64_t index) const {
    const std::lock_guard lock(mutex_);
    if (failed_.lower_bound(index) != failed_.end()) return true;
    return std::any_of(by_index_.lower_bound(index), by_index_.end(), [](const auto& entry) {
      return entry.second->failed.load(std::memory_order_acquire);
    });
  }
  /// Nobody will ask for those before `index` any more.
  void forget_failed(std::uint64_t index) {
    const std::lock_guard lock(mutex_);
    failed_.erase(failed_.begin(), failed_.lower_bound(index));
  }
  [[nodiscard]] std::shared_ptr<LiveSegment> find(std::uint64_t index) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_index_.find(index);
    return found == by_index_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::shared_ptr<LiveSegment> oldest() const {
    const std::lock_guard lock(mutex_);
    return by_index_.empty() ? nullptr : by_index_.begin()->second;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return by_index_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<LiveSegment>> by_index_;
  std::set<std::uint64_t> failed_;  ///< gone from by_index_
};

}  // namespace fastlogd::append
