// Counts what the io threads of this test program allocate.
#pragma once

#include <atomic>
#include <cstdint>

namespace fastlogd::counting_new {

// The sanitizers bring an operator new of their own, which can't be replaced.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define FASTLOGD_SANITIZER_OWNS_NEW 1
#endif
#endif
#ifdef FASTLOGD_SANITIZER_OWNS_NEW
inline constexpr bool kCounts = false;
#else
inline constexpr bool kCounts = true;
#endif

extern std::atomic<bool> counting;
extern std::atomic<std::uint64_t> allocations;

}  // namespace fastlogd::counting_new
