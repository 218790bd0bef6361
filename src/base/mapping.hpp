// A memory mapping with one owner.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>
#include <utility>

namespace fastlogd {

/// Owns [data, data + size) until destroyed. Any thread may destroy it; nobody may use it afterwards.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* data, std::size_t size) : data_(static_cast<std::byte*>(data)), size_(size) {}
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { reset(); }

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Unmaps in slices: one munmap of a whole segment would hold the address-space lock against the appender's
  /// page faults for milliseconds.
  void reset() {
    constexpr std::size_t kSlice = std::size_t{8} << 20;
    for (std::size_t done = 0; done < size_; done += kSlice) {
      ::munmap(data_ + done, size_ - done < kSlice ? size_ - done : kSlice);
    }
    data_ = nullptr;
    size_ = 0;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fastlogd
