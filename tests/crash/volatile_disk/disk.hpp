// A disk whose write cache is lost with the power.
#pragma once

#include <sys/mman.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace fastlogd::crash {

inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kPageBytes = 4096;

/// Holds everything in memory: what a reader sees now, what a flush has made durable, and the writes between. One
/// thread.
class Disk {
 public:
  explicit Disk(std::size_t bytes);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  ~Disk();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<const std::byte> read(std::size_t offset, std::size_t bytes) const;
  /// False: it failed as asked for, and nothing was written.
  [[nodiscard]] bool write(std::size_t offset, std::span<const std::byte> bytes);
  /// False: it failed as asked for, and what was not durable never will be, though readers still see it.
  [[nodiscard]] bool flush();

  /// Writes what a power loss now would leave: everything durable and, of the writes since, a random subset in random
  /// order, each of them whole, torn at sectors, or not at all. False with errno: the file could not be written.
  [[nodiscard]] bool crash_image(const std::string& path, std::uint64_t seed) const;

  // A disk that misbehaves.
  void lie_about_flushes(bool lie) { lies_ = lie; }
  void fail_writes(std::uint64_t count) { writes_to_fail_ = count; }
  void fail_flushes(std::uint64_t count) { flushes_to_fail_ = count; }
  void delay_flushes(std::chrono::microseconds delay) { flush_delay_ = delay; }

  [[nodiscard]] std::size_t unflushed() const { return unflushed_.size(); }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }

 private:
  struct Write {
    std::size_t offset = 0;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] bool write_touched_pages(int fd, std::span<const std::byte> content) const;

  std::size_t size_;
  std::byte* seen_;
  std::byte* durable_;
  std::vector<bool> touched_;     ///< pages ever written: the others are holes of an image
  std::vector<Write> unflushed_;  ///< in the order they came
  bool lies_ = false;
  std::chrono::microseconds flush_delay_{0};
  std::uint64_t writes_to_fail_ = 0;
  std::uint64_t flushes_to_fail_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
};

}  // namespace fastlogd::crash
