// What a native session has to tell its peer, in fixed memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/limits.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {

/// Up to which of its own numbers a peer's records are stored, and synced.
struct AckNumbers {
  std::uint64_t stored = 0;
  std::uint64_t synced = 0;
};

/// Messages on their way out, and at most one acknowledgement among them: a newer one replaces what was not written yet.
/// Refusals that adjoin become one. A peer that is gone is told into the void: it may have died with records under way,
/// and whoever reads those must not mind that nobody listens. Thread: an io thread.
class ReplyBuffer {
 public:
  enum class Sent : std::uint8_t { all, blocked, nobody_listens };

  /// Room for any one message beside a refusal that waits to grow.
  [[nodiscard]] bool has_room() const { return bytes_ + 2 * limits::kNativeReplyBytesMax <= buffer_.size(); }

  // CHECKed: has_room().
  void welcome(std::uint64_t next_number, std::size_t record_bytes_max);
  void pong(std::uint64_t number);
  void no_memory(wire::ShareRefusal why);
  void error(wire::NativeError error, std::string_view text);
  /// Comes before any acknowledgement that is written later. Needs no room where it adjoins the last one.
  void refuse(std::uint64_t first, std::uint64_t last, wire::Refusal why);

  /// True: it adjoined the refusal that waits, and is told with it.
  [[nodiscard]] bool extend_refusal(std::uint64_t first, std::uint64_t last, wire::Refusal why);

  /// The peer wants to be told of numbers it has not been told of, and there is something new to tell.
  [[nodiscard]] bool is_due(const AckNumbers& reached, const AckNumbers& wanted) const {
    return (reached.stored > stored_ && stored_ < wanted.stored) ||
           (reached.synced > synced_ && synced_ < wanted.synced);
  }
  /// Writes an acknowledgement if it says more than the last one, and none waits in the buffer. True: it did.
  bool acknowledge(const AckNumbers& reached);
  [[nodiscard]] std::uint64_t acknowledged_stored() const { return stored_; }
  [[nodiscard]] std::uint64_t acknowledged_synced() const { return synced_; }
  /// What was acknowledged before the first record.
  void start(std::uint64_t number) { stored_ = synced_ = number; }

  [[nodiscard]] bool empty() const { return bytes_ == 0 && refused_last_ == 0; }
  /// One send(2), non-blocking. `now_ns`: monotonic.
  Sent send(int fd, std::int64_t now_ns);
  /// Since when the peer has not taken anything; 0: it does.
  [[nodiscard]] std::int64_t blocked_since_ns() const { return blocked_since_ns_; }

 private:
  void flush_refusal();
  void forget_all();
  [[nodiscard]] std::span<char> room() { return std::span(buffer_).subspan(bytes_); }

  std::array<char, 4 * limits::kNativeReplyBytesMax> buffer_;
  std::size_t bytes_ = 0;
  std::uint64_t refused_first_ = 0;
  std::uint64_t refused_last_ = 0;  ///< 0: none waits
  wire::Refusal refusal_{};
  std::uint64_t stored_ = 0;
  std::uint64_t synced_ = 0;
  bool ack_waits_ = false;  ///< in the buffer
  std::int64_t blocked_since_ns_ = 0;
};

}  // namespace fastlogd::ingest
