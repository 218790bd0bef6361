// Hands an immutable value from the main thread to threads that run duty cycles.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace fastlogd {

/// One writer publishes, any number of SnapshotReaders take the newest at the top of their cycle. An old
/// value is freed when the last thread that used it has moved on.
template <class T>
class SnapshotBox {
 public:
  explicit SnapshotBox(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  void publish(std::shared_ptr<const T> next) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(next);
    }
    generation_.fetch_add(1, std::memory_order_release);  // meets the acquire in SnapshotReader::current
  }

  [[nodiscard]] std::shared_ptr<const T> load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::atomic<std::uint64_t> generation_{1};
};

/// One per thread. current() costs one load while nothing has changed.
template <class T>
class SnapshotReader {
 public:
  explicit SnapshotReader(const SnapshotBox<T>& box)
      : box_(&box), generation_(box.generation()), value_(box.load()) {}

  /// The newest value; the reference lives until the next call.
  [[nodiscard]] const T& current() {
    const std::uint64_t newest = box_->generation();
    if (newest != generation_) {
      value_ = box_->load();
      generation_ = newest;
    }
    return *value_;
  }

 private:
  const SnapshotBox<T>* box_;
  std::uint64_t generation_;
  std::shared_ptr<const T> value_;
};

}  // namespace fastlogd
