// Makes stores to persistent memory durable: cache lines written back, then a fence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fastlogd {

inline constexpr std::size_t kCacheLineBytes = 64;  ///< what one write-back instruction covers

/// The seam to the CPU's cache. What was stored is durable once it was written back *and* a fence behind that has
/// completed; a line that was only stored may reach the memory at any moment, or never. (Intel SDM volume 1, 12.2.5;
/// MAP_SYNC makes the file's block mapping durable, not the stores: mmap(2).) A test puts a model of the cache here.
/// Calls of the thread that made the stores: a fence orders its own.
class Persist {
 public:
  virtual ~Persist() = default;
  /// Starts writing back every cache line that `bytes` touches. Does not wait.
  virtual void write_back(std::span<const std::byte> bytes) = 0;
  /// Returns when everything written back before is in the memory's power-fail-safe domain.
  virtual void fence() = 0;
};

/// Fastest first. clwb keeps the line in the cache, the others throw it out; clflush orders itself.
enum class WriteBack : std::uint8_t { clwb, clflushopt, clflush, none };
[[nodiscard]] std::string_view name_of(WriteBack instruction);

/// What this processor has, by CPUID leaf 7 (CLWB, CLFLUSHOPT) and leaf 1 (CLFSH). `none`: stores can't be made
/// durable from user space here, and MAP_SYNC must not be used.
[[nodiscard]] WriteBack best_write_back();
[[nodiscard]] bool has_write_back(WriteBack instruction);

/// The processor itself, with the best it has. Lives as long as the program; without any such instruction its calls do
/// nothing, and who asks for durability has to look at best_write_back() first.
[[nodiscard]] Persist& processor_persist();

/// One of the instructions, for a test that compares them. The caller has checked has_write_back().
void write_back_with(WriteBack instruction, std::span<const std::byte> bytes);

}  // namespace fastlogd
