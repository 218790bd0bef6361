// The names of attested processes, for messages that name no identifier.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fastlogd::ingest {

/// Remembers /proc/PID/comm for a while. A process chooses its own name, so it is a claim like any
/// identifier. Fixed memory; no allocation. Thread: one io thread.
class ProcessNames {
 public:
  /// The name, at most 15 characters (proc(5)), or empty if the process is gone. Lives until the next call.
  [[nodiscard]] std::string_view name_of(std::uint32_t pid, std::int64_t now_ns);

 private:
  static constexpr std::size_t kEntries = 512;
  static constexpr std::int64_t kKeepNanos = 5'000'000'000;  // a pid may be given to another process

  struct Entry {
    std::uint32_t pid = 0;
    std::uint8_t bytes = 0;
    std::array<char, 16> text{};
    std::int64_t read_ns = 0;
  };
  std::array<Entry, kEntries> entries_;  // direct-mapped by pid
};

/// Reads /proc/PID/comm into `into`; returns the bytes, 0 if there is no such process.
[[nodiscard]] std::size_t read_process_name(std::uint32_t pid, std::array<char, 16>& into);

}  // namespace fastlogd::ingest
