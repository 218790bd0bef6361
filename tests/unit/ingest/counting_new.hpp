// Counts what the io threads of this test program allocate.
#pragma once

#include <atomic>
#include <cstdint>

namespace fastlogd::counting_new {

extern std::atomic<bool> counting;
extern std::atomic<std::uint64_t> allocations;

}  // namespace fastlogd::counting_new
