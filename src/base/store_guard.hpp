// A store into a mapped file that the file system can't take (a sector gone bad, no block left for a sparse or shared
// one, the file cut short by somebody) is SIGBUS. This turns it into a value, for the stores of a segment's writer alone.
//
// How. The handler looks whether the faulting address lies in one of the registered regions. If so it puts private
// zeroed memory in place of everything from the page at fault to the end of the region, marks the region, and returns:
// the instruction is repeated and succeeds, into memory that nobody will read. The writer looks at the mark once per
// batch, before anything of the batch is published. There is no jump out of the handler, no sigsetjmp, and a store costs
// nothing. (sigaction(2); mmap(2) with MAP_FIXED replaces pages atomically and is a bare system call.)
//
// Any other SIGBUS - another address, or one that a process sent - gets the default action: the process dies where it
// happened. Readers never install this; only who writes segments does.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fastlogd {

/// Protects one mapping while the object lives. Made and asked by one thread, the one that stores.
class StoreGuard {
 public:
  StoreGuard() = default;
  /// `region` begins at a page and is mapped as long as the guard lives. The first guard installs the handler. When all
  /// of the table's places are taken (far more than a daemon has streams) the region stays unprotected.
  explicit StoreGuard(std::span<std::byte> region);
  StoreGuard(StoreGuard&& other) noexcept : place_(std::exchange(other.place_, nullptr)) {}
  StoreGuard& operator=(StoreGuard&& other) noexcept;
  StoreGuard(const StoreGuard&) = delete;
  StoreGuard& operator=(const StoreGuard&) = delete;
  ~StoreGuard() { release(); }

  [[nodiscard]] explicit operator bool() const { return place_ != nullptr; }
  /// A store has faulted: what lies behind some page of the region is not the file any more. Final.
  [[nodiscard]] bool faulted() const {
    // The handler runs on this thread: the compiler must not move the look in front of the stores.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return place_ != nullptr && place_->faulted.load(std::memory_order_relaxed);
  }

  /// One row of the table that the handler reads: [begin, end), 0 while free. Lock-free, so that a handler may touch it.
  struct Place {
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};
    std::atomic<bool> faulted{false};
  };

 private:
  void release();
  Place* place_ = nullptr;
};

}  // namespace fastlogd
