#include "counting_new.hpp"

#include <sys/prctl.h>

#include <array>
#include <cstdlib>
#include <new>
#include <string_view>

namespace fastlogd::counting_new {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

#ifndef FASTLOGD_SANITIZER_OWNS_NEW

namespace {

bool in_io_thread() {
  std::array<char, 16> name{};
  ::prctl(PR_GET_NAME, name.data());
  return std::string_view(name.data()).starts_with("fl-io-");
}

}  // namespace

#endif

}  // namespace fastlogd::counting_new

#ifndef FASTLOGD_SANITIZER_OWNS_NEW

// Replaces the whole program's operator new ([new.delete]); the array and nothrow forms call it.
void* operator new(std::size_t bytes) {
  namespace counting_new = fastlogd::counting_new;
  if (counting_new::counting.load(std::memory_order_relaxed) && counting_new::in_io_thread()) {
    ++counting_new::allocations;
  }
  void* at = std::malloc(bytes == 0 ? 1 : bytes);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}

#endif
