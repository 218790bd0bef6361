// How much shared memory each user holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

namespace fastlogd::ingest {

/// One for all io threads. Asked at handshakes only. Any thread.
class SharedQuota {
 public:
  /// What one ring takes of its user's share, until it is destroyed. The quota outlives it.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : quota_(std::exchange(other.quota_, nullptr)), uid_(other.uid_), bytes_(other.bytes_) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(quota_, other.quota_);
      std::swap(uid_, other.uid_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      if (quota_ != nullptr) quota_->give_back(uid_, bytes_);
    }
    [[nodiscard]] explicit operator bool() const { return quota_ != nullptr; }

   private:
    friend class SharedQuota;
    Lease(SharedQuota& quota, std::uint32_t uid, std::size_t bytes)
        : quota_(&quota), uid_(uid), bytes_(bytes) {}

    SharedQuota* quota_ = nullptr;
    std::uint32_t uid_ = 0;
    std::size_t bytes_ = 0;
  };

  /// An empty lease: the user would have more than `rings_max` rings or `bytes_max` bytes. Users that the kernel does
  /// not name are one user.
  [[nodiscard]] Lease take(std::uint32_t uid, std::size_t bytes, unsigned rings_max, std::size_t bytes_max) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(uid);
    const Held held = found == held_.end() ? Held{} : found->second;
    if (held.rings >= rings_max || held.bytes + bytes > bytes_max) return {};
    held_[uid] = {.rings = held.rings + 1, .bytes = held.bytes + bytes};
    return {*this, uid, bytes};
  }

  /// Takes it in any case, over the limit if need be: the memory is there already.
  [[nodiscard]] Lease charge(std::uint32_t uid, std::size_t bytes) {
    return take(uid, bytes, std::numeric_limits<unsigned>::max(), std::numeric_limits<std::size_t>::max());
  }

 private:
  struct Held {
    unsigned rings = 0;
    std::size_t bytes = 0;
  };

  void give_back(std::uint32_t uid, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(uid);
    found->second.bytes -= bytes;
    if (--found->second.rings == 0) held_.erase(found);
  }

  std::mutex mutex_;
  std::map<std::uint32_t, Held> held_;
};

}  // namespace fastlogd::ingest
