#include "base/store_guard.hpp"

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "base/limits.hpp"

namespace fastlogd {
namespace {

// One active segment a stream, one that is being left, and its readers' wait page; tests have a few more.
constexpr std::size_t kPlaces = std::size_t{4} * limits::kStreamsMax;
constexpr std::uintptr_t kReserved = 1;  // `begin` of a place whose end is not there yet

std::array<StoreGuard::Place, kPlaces> places;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

struct Found {
  StoreGuard::Place* place = nullptr;
  std::uintptr_t end = 0;  ///< of the region that was found to hold the address
};

/// Other threads give places away and take them meanwhile. `begin` twice, `end` in between: an end that belongs to
/// another begin is never used.
Found find(std::uintptr_t address) {
  for (StoreGuard::Place& place : places) {
    const std::uintptr_t begin = place.begin.load(std::memory_order_acquire);
    if (begin <= kReserved || address < begin) continue;
    const std::uintptr_t end = place.end.load(std::memory_order_acquire);
    if (address < end && place.begin.load(std::memory_order_acquire) == begin) return {&place, end};
  }
  return {};
}

/// Memory of its own from the page at fault on. Failing (no memory) the process dies as it would have without us.
bool put_private_memory(std::uintptr_t address, std::uintptr_t end) {
  const std::uintptr_t page = address & ~(std::uintptr_t{limits::kPageBytes} - 1);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the address is all that a fault has
  const void* got = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return got != MAP_FAILED;
}

void on_sigbus(int number, siginfo_t* info, void* /*context*/) {
  const int saved = errno;
  // What kill(2) and its like send has no address of a store; the union would hold a pid there.
  const bool from_kernel = info->si_code > 0 && info->si_code != SI_KERNEL;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const Found found = from_kernel ? find(address) : Found{};
  if (found.place != nullptr && put_private_memory(address, found.end)) {
    found.place->faulted.store(true, std::memory_order_relaxed);  // for this very thread
    errno = saved;
    return;
  }
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(number, &standard, nullptr);
  if (!from_kernel) ::raise(number);  // a fault repeats itself on return
  errno = saved;
}

void install() {
  struct sigaction action{};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

StoreGuard::StoreGuard(std::span<std::byte> region) {
  static std::once_flag installed;
  std::call_once(installed, install);
  for (Place& place : places) {
    std::uintptr_t free = 0;
    if (!place.begin.compare_exchange_strong(free, kReserved, std::memory_order_acq_rel)) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(region.data());
    place.faulted.store(false, std::memory_order_relaxed);
    place.end.store(begin + region.size(), std::memory_order_release);
    place.begin.store(begin, std::memory_order_release);  // both meet acquires in find()
    place_ = &place;
    return;
  }
}

StoreGuard& StoreGuard::operator=(StoreGuard&& other) noexcept {
  if (this != &other) {
    release();
    place_ = std::exchange(other.place_, nullptr);
  }
  return *this;
}

void StoreGuard::release() {
  if (place_ != nullptr) place_->begin.store(0, std::memory_order_release);
  place_ = nullptr;
}

}  // namespace fastlogd
