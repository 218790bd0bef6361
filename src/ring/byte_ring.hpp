// One writing thread hands bytes to one reading thread, in order, without a lock and without splitting an
// entry.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/counter.hpp"
#include "base/mapping.hpp"
#include "base/result.hpp"
#include "base/thread_role.hpp"

namespace fastlogd::ring {

/// How an entry that would run over the end of the memory is kept in one piece.
enum class Layout : std::uint8_t {
  doubled,  ///< the same memory is mapped twice in a row: there is no end to run over
  padded,   ///< the entry goes to the start of the next lap; the bytes before the end are skipped
};

/// The thread sanitizer keeps its shadow by address: it cannot see that the two halves of a doubled mapping
/// are the same memory, neither a race between them nor the hand-over that excludes it. Its builds use the
/// padded layout.
#ifdef FASTLOGD_RING_PADDED
inline constexpr Layout kDefaultLayout = Layout::padded;
#else
inline constexpr Layout kDefaultLayout = Layout::doubled;
#endif

// clang-format off
/// Use. The producer reserves, fills, commits; the consumer peeks, reads, releases:
///
///     std::span<std::byte> room = ring.reserve(n);          const auto bytes = ring.peek();
///     if (room.empty()) ...full...;                         if (bytes.empty()) ...empty...;
///     fill(room.first(k));                                  ...entries lie back to back in `bytes`...
///     ring.commit(k);             // k <= n                 ring.release(k);  // whole entries
///     ring.publish(); data.notify();  // once per batch     ring.publish_space(); space.notify();
///
/// The ring knows only bytes: what an entry is, and how long, is said by what lies in it. An entry is what one
/// commit handed over, and it is contiguous for the reader.
///
/// Positions. `written` and `read` count bytes since creation and never wrap (2^64 bytes at 10 GB/s are 58
/// years). A position's place in memory is position & (capacity - 1). Full and empty need no sacrificed byte,
/// because the unmasked difference tells them apart:
///
///     empty: written == read                        full: written == read + capacity
///
///      read
///      written                                              read, written & mask
///     |---v----------------------------|            |#######^########################|
///
///     wrapped, doubled: entry `c` goes on in the second mapping, whose first bytes are the first bytes again
///
///         written & mask     read & mask
///     |ccc^------------------^aaaaaabbbbc|ccc  ... the same memory a second time ...  |
///
///     wrapped, padded: `c` did not fit before the end, so it lies at the start of the next lap
///
///          written & mask     read & mask   wrap_at & mask
///     |cccc^------------------^aaaaaabbbb^..|
///
/// Invariants.
///  1. read <= written <= read + capacity, in every thread's view: each side's copy of the other's position may
///     be old, and old means smaller: the producer sees less room, the consumer sees fewer bytes.
///  2. Only the producer writes `written`, `wrap_at` and the bytes in [written, read + capacity); only the
///     consumer writes `read`. Bytes in [read, written) are immutable.
///  3. The payload is written between reserve and commit. commit's release store of `written` meets the
///     acquire load in peek: who sees the position sees the bytes (and wrap_at) before it.
///  4. release's release store of `read` meets the acquire load in reserve: who sees the space free sees that
///     the consumer's reads of it are over.
///  5. Padded: one wrap_at word is enough. Let a wrap leave lap L at w, L * capacity < w < (L+1) * capacity.
///     The next wrap puts an entry of n > 0 bytes at the start of a lap M >= L+2, so its reserve has seen
///     M*capacity + n - read <= capacity, hence read >= (L+1)*capacity + n > w: the consumer is past the first
///     wrap before the second can be stored. A consumer that loads a newer wrap_at than its copy of `written`
///     finds wrap_at >= that copy and does not use it yet. A wrap_at below `read` is one that has been passed.
///  6. An empty ring has room for capacity / 2 bytes wherever its positions stand, in both layouts: reserve of
///     at most reserve_bytes_max() succeeds once the consumer has released everything.
///
/// Each position lies on a pair of cache lines of its own, and so does what a side keeps for itself: its own
/// position and its copy of the other's. While the ring is neither full nor empty a side reads the other's line
/// once per lap of its copy, not once per entry; and a reader that takes the line of `written` away delays only
/// the store to it, which waits in the store buffer, never a load of the next reserve.
///
/// Sleeping and waking is wake_signal.hpp; publish() and publish_space() store its position words.
// clang-format on
class ByteRing {
 public:
  /// `capacity_bytes`: a power of two and a multiple of the page size. All memory is resident on return: the
  /// record path takes no page fault here. Errors: invalid capacity, ENOMEM, EMFILE.
  [[nodiscard]] static Result<std::unique_ptr<ByteRing>> create(std::size_t capacity_bytes,
                                                                Layout layout = kDefaultLayout);

  ByteRing(const ByteRing&) = delete;
  ByteRing& operator=(const ByteRing&) = delete;

  // ---- Producer thread ----

  /// A contiguous span of exactly `n` bytes, or an empty one: the ring is too full for `n` now. 0 < n <=
  /// reserve_bytes_max(). Nothing is promised until commit; a second reserve replaces the first.
  [[nodiscard]] std::span<std::byte> reserve(std::size_t n) {
    std::size_t skip = 0;
    if (layout_ == Layout::padded) skip = bytes_to_skip(producer_.tail, n);
    const std::uint64_t end = producer_.tail + skip + n;
    if (end - producer_.read_copy > capacity_) {
      producer_.read_copy = read_.position.load(std::memory_order_acquire);  // meets release()
      if (end - producer_.read_copy > capacity_) [[unlikely]]
        return {};
    }
    producer_.skip = skip;
    producer_.reserved = n;
    return {memory_.data() + ((producer_.tail + skip) & mask_), n};
  }

  /// Hands the first `n` reserved bytes over as one entry. n <= the reserved size; 0 gives the reservation
  /// up.
  void commit(std::size_t n) {
    FASTLOGD_CHECK(n <= producer_.reserved);
    producer_.reserved = 0;
    if (n == 0) return;
    if (producer_.skip != 0) {
      written_.wrap_at.store(producer_.tail, std::memory_order_relaxed);  // published by the store below
      producer_.tail += producer_.skip;
      producer_.skip = 0;
    }
    producer_.tail += n;
    written_.position.store(producer_.tail, std::memory_order_release);  // meets peek()
  }

  /// Once per batch of commits, before WakeSignal::notify(): the seq_cst store that a consumer which is about
  /// to sleep cannot miss (see wake_signal.hpp).
  void publish() { written_.position.store(producer_.tail, std::memory_order_seq_cst); }

  /// The sleeper's re-check after WakeSignal::arm(): true if reserve(n) would succeed now.
  [[nodiscard]] bool has_space(std::size_t n) {
    producer_.read_copy = read_.position.load(std::memory_order_seq_cst);
    const std::size_t skip = layout_ == Layout::padded ? bytes_to_skip(producer_.tail, n) : 0;
    return producer_.tail + skip + n - producer_.read_copy <= capacity_;
  }

  // ---- Consumer thread ----

  /// Entries back to back, starting with the oldest unreleased one; empty if there is none. Not necessarily
  /// all that have been committed: peek again after releasing these. The bytes stay until they are released.
  [[nodiscard]] std::span<const std::byte> peek() {
    if (consumer_.written_copy == consumer_.head) {
      consumer_.written_copy = written_.position.load(std::memory_order_acquire);  // meets commit()
      if (consumer_.written_copy == consumer_.head) return {};
    }
    std::uint64_t end = consumer_.written_copy;
    if (layout_ == Layout::padded) end = skip_padding(end);
    return {memory_.data() + (consumer_.head & mask_), static_cast<std::size_t>(end - consumer_.head)};
  }

  /// Gives the first `n` peeked bytes back to the producer; whole entries only.
  void release(std::size_t n) {
    FASTLOGD_CHECK(n <= consumer_.written_copy - consumer_.head);
    consumer_.head += n;
    read_.position.store(consumer_.head, std::memory_order_release);  // meets reserve()
  }

  /// Once per batch of releases, before WakeSignal::notify() of a producer that waits for space.
  void publish_space() { read_.position.store(consumer_.head, std::memory_order_seq_cst); }

  /// The sleeper's re-check after WakeSignal::arm(): true if there is an entry to peek.
  [[nodiscard]] bool has_data() {
    return written_.position.load(std::memory_order_seq_cst) != consumer_.head;
  }

  // ---- Any thread ----

  /// Bytes ever committed (padding included): an entry's end position, comparable with read().
  [[nodiscard]] std::uint64_t written() const { return written_.position.load(std::memory_order_acquire); }
  /// Bytes ever released: entries that end at or below it have left the ring.
  [[nodiscard]] std::uint64_t read() const { return read_.position.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// The largest n that reserve() accepts: half of the capacity, so that an emptied ring always has room for
  /// it.
  [[nodiscard]] std::size_t reserve_bytes_max() const { return capacity_ / 2; }
  [[nodiscard]] Layout layout() const { return layout_; }

  /// Tests only, before either side has used the ring: both positions start here. A multiple of the page
  /// size.
  void start_at(std::uint64_t position);

 private:
  static constexpr std::uint64_t kNeverWrapped = ~std::uint64_t{0};  // no position reaches it

  ByteRing(Mapping memory, std::size_t capacity_bytes, Layout layout);

  /// Bytes between `position` and the end of its lap if an entry of `n` does not fit there, else 0.
  [[nodiscard]] std::size_t bytes_to_skip(std::uint64_t position, std::size_t n) const {
    const std::size_t to_lap_end = capacity_ - static_cast<std::size_t>(position & mask_);
    return n <= to_lap_end ? 0 : to_lap_end;
  }

  /// Where the contiguous entries end; steps over a wrap that the consumer has reached.
  [[nodiscard]] std::uint64_t skip_padding(std::uint64_t end) {
    const std::uint64_t wrap_at = written_.wrap_at.load(std::memory_order_relaxed);  // ordered by written
    const std::uint64_t lap_end = (consumer_.head | mask_) + 1;
    if (wrap_at < consumer_.head || wrap_at >= end) return end < lap_end ? end : lap_end;
    if (wrap_at > consumer_.head) return wrap_at;
    consumer_.head = lap_end;  // told to the producer with the next release
    return end;
  }

  /// Told to the consumer.
  struct alignas(kCacheLinePair) Written {
    std::atomic<std::uint64_t> position{0};
    std::atomic<std::uint64_t> wrap_at{kNeverWrapped};  ///< padded only
  };
  /// The producer's alone.
  struct alignas(kCacheLinePair) Producer {
    std::uint64_t tail = 0;       ///< its own copy of `written`
    std::uint64_t read_copy = 0;  ///< read as last seen
    std::size_t reserved = 0;
    std::size_t skip = 0;  ///< padding before the reserved span
  };
  /// Told to the producer.
  struct alignas(kCacheLinePair) Read {
    std::atomic<std::uint64_t> position{0};
  };
  /// The consumer's alone.
  struct alignas(kCacheLinePair) Consumer {
    std::uint64_t head = 0;          ///< its own copy of `read`; may be ahead of it by a padding
    std::uint64_t written_copy = 0;  ///< written as last seen
  };

  Mapping memory_;
  std::size_t capacity_;
  std::uint64_t mask_;
  Layout layout_;
  Written written_;
  Producer producer_;
  Read read_;
  Consumer consumer_;
};

}  // namespace fastlogd::ring
