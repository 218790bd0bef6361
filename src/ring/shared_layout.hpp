// What two processes agree on when one hands bytes to the other through shared memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/counter.hpp"
#include "base/limits.hpp"

namespace fastlogd::ring {

// clang-format off
/// Use. The consumer (the daemon) makes the memory and passes it; one thread of the producer (a client) writes into
/// it. The producer reserves, fills, commits; the consumer looks, copies, checks the copy, gives back:
///
///     producer (SharedProducer)                          consumer (SharedConsumer)
///     auto room = producer.reserve(n);                   if (consumer.look() == Look::data) {
///     if (room.empty()) ...full: wait or drop...           n = consumer.copy(to);        // to: private memory
///     fill(room.first(k));                                 FrameWalk walk(to.first(n), consumer.available());
///     if (producer.commit(k)) ...ring the doorbell...      while (walk.next() == Step::frame) use(walk.payload());
///                                                          consumer.advance(walk.consumed());
///                                                          ...and when nobody needs them a second time:
///                                                          consumer.give_back(position);
///
/// Memory. Two files. The producer maps the second one read-only, and has no descriptor that would let it do more:
///
///     file 1   | ProducerPage, 4096 bytes | data: `capacity` bytes, a power of two |   both sides write
///     file 2   | ConsumerPage, 4096 bytes |                                            the consumer writes
///
/// Positions count bytes since creation and never wrap; a position's place is position & (capacity - 1).
///
///     empty: written == read                        full: written == read + capacity
///
/// A frame is FrameHeader and a payload, together a multiple of 8 bytes, and never runs over the end of the data:
/// what is left before the end is skipped with a PAD frame. Positions are multiples of 8, so that even the smallest
/// rest has room for a PAD. Only PADs are padded with; a producer may use one of any length as well to take back
/// what it has committed to skip.
///
///          written & mask     cursor & mask                      read <= cursor <= written <= read + capacity
///     |cccc^------------------^aaaaaabbbb<PAD>|
///
/// `cursor` is how far the consumer has copied. It lives in the consumer's private memory, and `read` follows it when
/// what was copied is safe elsewhere: until then it is still here, should the consumer die.
///
/// Invariants.
///  1. The consumer believes nothing that it reads from file 1. It loads `written` once per look and checks it against
///     its own cursor and `read`; it copies, and only then takes the lengths from the copy. What the producer does to
///     the memory meanwhile changes what is in the copy, never how it is read. It reads nothing back from file 2.
///  2. The payload and the header are written before `written`: commit's store meets look's load. (From an honest
///     producer; from another one the copy holds whatever it holds.)
///  3. give_back's store of `read` meets reserve's load: who sees the space free sees that the copying is over.
///  4. A frame ends at or before `written` and at or before the end of the data, or the producer is broken.
///  5. An empty ring has room for a frame of capacity / 2 bytes wherever its positions stand: a frame of n bytes that
///     doesn't fit before the end skips less than n bytes.
///
/// A consumer that comes back. Both files may outlive the consumer in somebody's keeping. Another one maps them and goes
/// on at `read`, which it finds in file 2, where no producer can have written it; what its predecessor had copied and
/// not given back it copies again. For whom the memory was made stands in `note`, in the consumer's own words.
///
/// Wake-up, data. The consumer stores an odd number into `attention` before its last look at `written`; the producer
/// stores `written`, then loads `attention`. All four seq_cst on the words themselves, so one of the two sees the
/// other (wake_signal.hpp has the proof, tests/unit/ring/shared_wake_model_test.cpp walks the orders). The producer
/// can't take the flag down: it remembers the number that it has rung for and rings once for each. On x86 the store
/// is one exchange instruction, the look at `attention` one load of a line that seldom changes: no system call while
/// the consumer is awake. How the doorbell is rung is the caller's affair.
///
/// Wake-up, space. The producer loads `space_bell`, stores `waiting`, looks again at `read`, and sleeps in futex(2) on
/// the bell (a read-only mapping is enough for that). The consumer stores `read`, and if a quarter of the ring is free
/// then, loads `waiting`, and if set takes it down, moves the bell and wakes. As long as less is free there is something
/// left to give back, and a store of `read` to come. A producer that sets `waiting` for nothing costs one system call a
/// cycle.
// clang-format on

/// Told to the consumer, who doubts it.
struct ProducerPage {
  alignas(kCacheLinePair) std::atomic<std::uint64_t> written{0};
  alignas(kCacheLinePair) std::atomic<std::uint64_t> dropped{0};  ///< records the producer gave up, ever
  alignas(kCacheLinePair) std::atomic<std::uint32_t> waiting{0};  ///< 1: about to sleep until there is room
};

/// Told to the producer, who can't change it.
struct ConsumerPage {
  static constexpr std::uint32_t kClosed = 0xffffffff;
  static constexpr std::size_t kNoteBytes = 2048;

  alignas(kCacheLinePair) std::atomic<std::uint64_t> read{0};
  alignas(kCacheLinePair) std::atomic<std::uint32_t> attention{0};  ///< even: awake; odd: asleep; kClosed
  alignas(kCacheLinePair) std::atomic<std::uint32_t> space_bell{0};
  alignas(kCacheLinePair) std::atomic<std::uint64_t> dropped_told{
      0};                                    ///< of ProducerPage::dropped, for a successor
  std::array<std::byte, kNoteBytes> note{};  ///< the consumer's; written before the producer gets the page
};

/// Begins a frame. `bytes` counts header, payload and padding to a multiple of 8.
struct FrameHeader {
  static constexpr std::uint32_t kPad = 1;  ///< nothing in it

  std::uint32_t bytes = 0;
  std::uint32_t flags = 0;
};
static_assert(sizeof(FrameHeader) == 8);

static_assert(sizeof(ProducerPage) <= limits::kPageBytes && sizeof(ConsumerPage) <= limits::kPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);

/// The parts of a shared ring, wherever they are mapped. Views.
struct SharedParts {
  ProducerPage* producer = nullptr;
  ConsumerPage* consumer = nullptr;  ///< the producer's side must not write through it: that faults
  std::byte* data = nullptr;
  std::size_t capacity = 0;  ///< a power of two
};

[[nodiscard]] constexpr std::size_t frame_bytes(std::size_t payload_bytes) {
  return (sizeof(FrameHeader) + payload_bytes + 7) & ~std::size_t{7};
}

}  // namespace fastlogd::ring
