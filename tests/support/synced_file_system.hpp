// A FileSystem that knows what has really been synced: the model that acknowledgements are held against.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "record/log_position.hpp"
#include "segment/segment_file.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::test {

/// Of every segment it knows how far it is on disk: as far as the log was committed when an fdatasync of it began that
/// returned 0 later. A failed one is the last word on its segment. Calls of any thread.
class SyncedFileSystem : public PassingFileSystem {
 public:
  /// How far the log is committed at this moment; called at the start of each fdatasync. Set before the store starts.
  std::function<LogPosition()> committed;
  std::atomic<std::int64_t> delay_us{0};  ///< each fdatasync of a segment takes this long
  std::atomic<unsigned> fail_one_in{0};   ///< 0: none fails
  std::atomic<std::uint64_t> syncs{0};    ///< of segments in use
  std::atomic<std::uint64_t> failures{0};

  explicit SyncedFileSystem(std::uint64_t seed = 1) : random_(seed) {}

  Result<> sync_data(int fd) override {
    const std::uint64_t index = segment_of(fd);
    const LogPosition began = committed && index != 0 ? committed() : LogPosition{};
    if (began.segment() < index || index == 0) return PassingFileSystem::sync_data(fd);  // not in use yet
    syncs.fetch_add(1);
    if (const auto us = delay_us.load(); us > 0) std::this_thread::sleep_for(std::chrono::microseconds(us));
    const std::lock_guard lock(mutex_);
    if (const unsigned n = fail_one_in.load(); n != 0 && random_() % n == 0) {
      failures.fetch_add(1);
      failed_.insert(index);
      return Error{std::error_code(EIO, std::system_category()), "fdatasync"};
    }
    if (failed_.contains(index)) return {};  // the kernel says yes, and the pages were dropped
    LogPosition& reached = synced_[index];
    reached = std::max(reached, began);
    return {};
  }

  /// Whether everything in [from, to) is on disk, segment by segment.
  [[nodiscard]] bool holds(LogPosition from, LogPosition to) const {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t index = from.segment(); index <= to.segment(); ++index) {
      if (index == to.segment() && to.offset() <= segment::kHeaderBytes) continue;
      const auto found = synced_.find(index);
      if (found == synced_.end()) return false;
      // Committed in a later segment when it began: the whole of this one.
      if (found->second.segment() == index && found->second < to) return false;
    }
    return true;
  }

 private:
  /// By its header page; 0 for what is no segment.
  std::uint64_t segment_of(int fd) {
    struct stat info{};
    segment::Page page{};
    if (::fstat(fd, &info) != 0) return 0;
    const auto got = PassingFileSystem::read_at(fd, page, 0);
    if (!got) return 0;
    const auto check =
        segment::decode_header(std::span(page).first(*got), static_cast<std::uint64_t>(info.st_size));
    return check.header ? check.header->index : 0;
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::map<std::uint64_t, LogPosition> synced_;
  std::set<std::uint64_t> failed_;
};

}  // namespace fastlogd::test
