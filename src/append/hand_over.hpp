// A few pointers on their way from one thread to one other.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace fastlogd::append {

/// Single producer, single consumer, at most N waiting, in order. Owns nothing. A slot is free while it holds null:
/// put() stores with release, take() empties it and meets that store with acquire.
template <class T, std::size_t N>
class HandOver {
 public:
  /// Producer. False: all slots are taken.
  [[nodiscard]] bool put(T* item) {
    std::atomic<T*>& slot = slots_[put_ % N];
    if (slot.load(std::memory_order_acquire) != nullptr) return false;
    slot.store(item, std::memory_order_release);
    ++put_;
    return true;
  }
  /// Consumer. Null: nothing waits.
  [[nodiscard]] T* take() {
    T* item = slots_[taken_ % N].exchange(nullptr, std::memory_order_acq_rel);
    if (item != nullptr) ++taken_;
    return item;
  }
  /// Either side; a moment's truth.
  [[nodiscard]] bool empty() const {
    for (const auto& slot : slots_) {
      if (slot.load(std::memory_order_acquire) != nullptr) return false;
    }
    return true;
  }

 private:
  std::array<std::atomic<T*>, N> slots_{};
  std::size_t put_ = 0;    // producer only
  std::size_t taken_ = 0;  // consumer only
};

}  // namespace fastlogd::append
