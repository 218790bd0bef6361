// The writing end of a ring between two processes. shared_layout.hpp explains it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ring/shared_layout.hpp"

namespace fastlogd::ring {

/// Thread: one, the producer. Trusts the consumer's page, which the producer's user can't forge.
class SharedProducer {
 public:
  SharedProducer() = default;
  /// A ring nobody has written into yet. The parts outlive it.
  explicit SharedProducer(const SharedParts& parts) : parts_(parts) {}

  /// Room for a payload of exactly `n` bytes, or nothing: the ring is too full now. 0 < n <= payload_bytes_max(). A
  /// second reserve replaces the first.
  [[nodiscard]] std::span<std::byte> reserve(std::size_t n) {
    const std::size_t bytes = frame_bytes(n);
    const std::size_t to_end = parts_.capacity - static_cast<std::size_t>(tail_ & (parts_.capacity - 1));
    skip_ = bytes <= to_end ? 0 : to_end;
    const std::uint64_t end = tail_ + skip_ + bytes;
    if (end - read_copy_ > parts_.capacity) {
      read_copy_ = parts_.consumer->read.load(std::memory_order_acquire);  // meets give_back()
      if (end - read_copy_ > parts_.capacity) [[unlikely]]
        return {};
    }
    return {at(tail_ + skip_) + sizeof(FrameHeader), n};
  }

  /// Hands over the first `n` bytes of what was reserved. True: the consumer sleeps, ring the doorbell; or it
  /// has closed the ring, which is said again and again.
  [[nodiscard]] bool commit(std::size_t n) {
    if (skip_ != 0) [[unlikely]] {
      write_header(tail_, {.bytes = static_cast<std::uint32_t>(skip_), .flags = FrameHeader::kPad});
      tail_ += skip_;
      skip_ = 0;
    }
    const std::size_t bytes = frame_bytes(n);
    write_header(tail_, {.bytes = static_cast<std::uint32_t>(bytes)});
    tail_ += bytes;
    parts_.producer->written.store(tail_, std::memory_order_seq_cst);  // meets look()
    const std::uint32_t attention = parts_.consumer->attention.load(std::memory_order_seq_cst);
    if ((attention & 1) == 0) [[likely]]
      return false;
    if (attention == rung_for_ && attention != ConsumerPage::kClosed) return false;
    rung_for_ = attention;
    return true;
  }

  /// A record that found no room. The consumer turns the count into a gap.
  void count_dropped(std::uint64_t n) {
    dropped_ += n;
    parts_.producer->dropped.store(dropped_, std::memory_order_release);
  }

  /// Sleeps until reserve(n) is worth another try, at most `timeout`. True: there is room.
  bool wait_for_space(std::size_t n, std::chrono::nanoseconds timeout);

  /// The consumer has ended the ring.
  [[nodiscard]] bool closed() const {
    return parts_.consumer->attention.load(std::memory_order_acquire) == ConsumerPage::kClosed;
  }
  /// What is given back is what this page says, from here on: the consumer's, or one of the caller's own that gives nothing
  /// back. It outlives the ring, and what it says is not less than what was said before.
  void believe(ConsumerPage& page) { parts_.consumer = &page; }

  /// What the consumer has not given back: for sending it again elsewhere.
  [[nodiscard]] std::uint64_t read() const { return parts_.consumer->read.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t written() const { return tail_; }
  [[nodiscard]] const SharedParts& parts() const { return parts_; }
  [[nodiscard]] static std::size_t payload_bytes_max(std::size_t capacity) {
    return capacity / 2 - sizeof(FrameHeader);
  }

 private:
  [[nodiscard]] std::byte* at(std::uint64_t position) const {
    return parts_.data + (position & (parts_.capacity - 1));
  }
  void write_header(std::uint64_t position, const FrameHeader& header) {
    std::memcpy(at(position), &header, sizeof header);
  }
  [[nodiscard]] bool has_space(std::size_t n);

  SharedParts parts_;
  std::uint64_t tail_ = 0;       ///< its own copy of `written`
  std::uint64_t read_copy_ = 0;  ///< read as last seen
  std::uint64_t dropped_ = 0;
  std::size_t skip_ = 0;        ///< padding before what is reserved
  std::uint32_t rung_for_ = 0;  ///< the consumer's sleep that was rung for last
};

}  // namespace fastlogd::ring
