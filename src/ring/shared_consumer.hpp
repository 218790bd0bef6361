// The reading end of a ring between two processes, whose other end nobody trusts. shared_layout.hpp explains it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ring/shared_layout.hpp"

namespace fastlogd::ring {

/// What look() found.
enum class Look : std::uint8_t {
  empty,
  data,
  broken,  ///< a position that can't be: the ring is to be ended
};

/// Thread: one, the consumer.
class SharedConsumer {
 public:
  SharedConsumer() = default;
  /// A new ring. The parts outlive it.
  explicit SharedConsumer(const SharedParts& parts) : parts_(parts) {}
  /// A ring whose consumer has died: goes on where it had given back to.
  [[nodiscard]] static SharedConsumer resume(const SharedParts& parts);

  /// Loads the producer's position, once, and checks it.
  [[nodiscard]] Look look() {
    const std::uint64_t written_untrusted = parts_.producer->written.load(std::memory_order_seq_cst);
    return check(written_untrusted);
  }

  /// After Look::data: bytes from the cursor to the last look's position, or to the end of the data if that is
  /// nearer. No frame ends behind it.
  [[nodiscard]] std::size_t available() const {
    const std::size_t to_end = parts_.capacity - static_cast<std::size_t>(cursor_ & (parts_.capacity - 1));
    const std::uint64_t waiting = written_ - cursor_;
    return waiting < to_end ? static_cast<std::size_t>(waiting) : to_end;
  }

  /// After Look::data: how long the next frame says it is. A hint: the producer may be changing it.
  [[nodiscard]] std::size_t next_frame_bytes_untrusted() const {
    FrameHeader header;
    std::memcpy(&header, parts_.data + (cursor_ & (parts_.capacity - 1)), sizeof header);
    return header.bytes;
  }

  /// Copies from the cursor on, as much as is available and `to` holds; returns how much. The producer may write
  /// into the same bytes meanwhile: the copy is what counts.
  std::size_t copy(std::span<std::byte> to) const {
    const std::size_t n = available() < to.size() ? available() : to.size();
    std::memcpy(to.data(), parts_.data + (cursor_ & (parts_.capacity - 1)), n);
    return n;
  }

  /// `n` bytes are done with, at most available(): the next copy begins behind them.
  void advance(std::size_t n);
  /// Where the next copy begins.
  [[nodiscard]] std::uint64_t cursor() const { return cursor_; }

  /// Everything before `position` may be overwritten; at most cursor(), and never back. Wakes a producer that waits once
  /// a quarter of the ring is free: one that is woken for every bit of room sleeps and wakes for every bit.
  void give_back(std::uint64_t position);
  [[nodiscard]] std::uint64_t given_back() const { return read_; }

  /// How many records the producer says it has dropped since the last call. It can only grow; a count that jumps
  /// back is taken for no news.
  [[nodiscard]] std::uint64_t take_dropped();

  /// In turns with disarm(). A producer that commits after it rings. True: nothing is there, sleep. Both leave a ring that
  /// was closed closed.
  [[nodiscard]] bool arm() {
    if (closed_) return false;
    attention_ = (attention_ + 1) & kAttentionMask;
    parts_.consumer->attention.store(attention_, std::memory_order_seq_cst);
    return parts_.producer->written.load(std::memory_order_seq_cst) == cursor_;
  }
  void disarm() {
    if (closed_) return;
    attention_ = (attention_ + 1) & kAttentionMask;
    parts_.consumer->attention.store(attention_, std::memory_order_relaxed);
  }
  /// For good: the producer finds out with its next commit or wait.
  void close();

 private:
  static constexpr std::uint32_t kAttentionMask = 0x7fffffff;  // never kClosed
  static constexpr std::size_t kWakeShare = 4;
  static constexpr std::uint64_t kDroppedMax = std::uint64_t{1} << 40;  // more than anybody can really drop

  /// Of the space, as far as known. Less is left only while more than the rest is still to be given back.
  [[nodiscard]] bool worth_waking() const {
    return parts_.capacity - static_cast<std::size_t>(written_ - read_) >= parts_.capacity / kWakeShare;
  }
  [[nodiscard]] Look check(std::uint64_t written_untrusted) {
    if (written_untrusted == cursor_) return Look::empty;
    if (written_untrusted - read_ > parts_.capacity || written_untrusted - read_ < cursor_ - read_ ||
        written_untrusted % 8 != 0) {
      return Look::broken;
    }
    written_ = written_untrusted;
    return Look::data;
  }

  SharedParts parts_;
  std::uint64_t read_ = 0;     ///< as stored in the consumer's page
  std::uint64_t cursor_ = 0;   ///< copied up to here
  std::uint64_t written_ = 0;  ///< as last looked at, checked
  std::uint64_t dropped_ = 0;
  std::uint32_t attention_ = 0;
  bool closed_ = false;
};

/// Takes a copy apart. Looks at no shared memory. Never allocates.
class FrameWalk {
 public:
  enum class Step : std::uint8_t {
    frame,   ///< payload() is one; what is behind the payload's own length in it is padding
    end,     ///< the copy is used up, or only the beginning of a frame is left of it: cut_frame_bytes()
    broken,  ///< a length that can't be
  };

  /// `copy` was available bytes of a ring, or fewer; no frame ends behind `available`.
  FrameWalk(std::span<const std::byte> copy, std::size_t available) : copy_(copy), available_(available) {}

  [[nodiscard]] Step next();
  [[nodiscard]] std::span<const std::byte> payload() const { return payload_; }
  /// Bytes of the ring that are done with, PADs included, the last frame excluded until next() is called again. May
  /// go beyond the copy when it ends within a PAD.
  [[nodiscard]] std::size_t consumed() const { return at_; }
  /// The last frame is done with.
  void accept() {
    at_ += accepted_next_;
    accepted_next_ = 0;
  }
  /// After Step::end: the length of a frame that begins in the copy and goes on behind it; 0: none does.
  [[nodiscard]] std::size_t cut_frame_bytes() const { return cut_frame_bytes_; }

 private:
  std::span<const std::byte> copy_;
  std::size_t available_;
  std::span<const std::byte> payload_;
  std::size_t at_ = 0;
  std::size_t accepted_next_ = 0;
  std::size_t cut_frame_bytes_ = 0;
};

// Inline, as everything that a record passes on its way from the shared ring into a block.
inline FrameWalk::Step FrameWalk::next() {
  accept();
  while (true) {
    if (at_ >= available_) return Step::end;
    if (at_ >= copy_.size() || copy_.size() - at_ < sizeof(FrameHeader)) return Step::end;
    FrameHeader header;
    std::memcpy(&header, copy_.data() + at_, sizeof header);
    const std::size_t left = available_ - at_;
    if (header.bytes < sizeof header || header.bytes % 8 != 0 || header.bytes > left ||
        (header.flags & ~FrameHeader::kPad) != 0) {
      return Step::broken;
    }
    if ((header.flags & FrameHeader::kPad) != 0) {
      at_ += header.bytes;
      continue;
    }
    if (header.bytes > copy_.size() - at_) {
      cut_frame_bytes_ = header.bytes;
      return Step::end;
    }
    payload_ = copy_.subspan(at_ + sizeof header, header.bytes - sizeof header);
    accepted_next_ = header.bytes;
    return Step::frame;
  }
}

}  // namespace fastlogd::ring
