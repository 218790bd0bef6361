// A hostile producer: it may write anything at any time into everything that it can map for writing, while the consumer
// reads. Whatever happens, the consumer copies no byte from outside the data, sees no frame from outside its copy, goes
// only forward, and never by more than was there; with an honest beginning every honest record is seen.
//
// The input: how large the consumer's copies are, then what is written where, and when. With an odd first byte a second
// thread writes it again and again while the consumer runs; otherwise it is written between two looks, and the run is
// the same each time.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"

namespace {

using namespace fastlogd::ring;

constexpr std::size_t kCapacity = 4096;

void require(bool holds) {
  if (!holds) std::abort();
}

/// One write of the producer's: 1 byte of kind, 2 of place, 8 of value.
class Vandal {
 public:
  Vandal(const SharedParts& parts, const std::uint8_t* data, std::size_t size)
      : parts_(parts), data_(data), writes_(size / kWriteBytes) {}

  [[nodiscard]] std::size_t writes() const { return writes_; }
  void write(std::size_t index) {
    const std::uint8_t* at = data_ + (index % writes_) * kWriteBytes;
    std::uint16_t place = 0;
    std::uint64_t value = 0;
    std::memcpy(&place, at + 1, sizeof place);
    std::memcpy(&value, at + 3, sizeof value);
    auto* const words = reinterpret_cast<std::atomic<std::uint64_t>*>(parts_.data);
    switch (at[0] % 6) {
      case 0:
        parts_.producer->written.store(value, std::memory_order_relaxed);
        break;
      case 1:  // near where it should be
        parts_.producer->written.store(parts_.consumer->read.load() + value % (kCapacity + 16));
        break;
      case 2:
        parts_.producer->dropped.store(value, std::memory_order_relaxed);
        break;
      case 3:
        parts_.producer->waiting.store(static_cast<std::uint32_t>(value), std::memory_order_relaxed);
        break;
      case 4:  // any eight bytes
        words[place % (kCapacity / 8)].store(value, std::memory_order_relaxed);
        break;
      default:  // a header that may be
        words[place % (kCapacity / 8)].store((value % 512) * 8 | (value >> 63) << 32,
                                             std::memory_order_relaxed);
        break;
    }
  }

 private:
  static constexpr std::size_t kWriteBytes = 11;

  SharedParts parts_;
  const std::uint8_t* data_;
  std::size_t writes_;
};

/// False: the ring is broken, and would be ended.
bool read_once(SharedConsumer& consumer, std::vector<std::byte>& copy) {
  const std::uint64_t before = consumer.cursor();
  const Look look = consumer.look();
  if (look == Look::broken) return false;
  if (look == Look::empty) return true;
  const std::size_t available = consumer.available();
  require(available > 0 && available <= kCapacity && available % 8 == 0);
  const std::size_t n = consumer.copy(copy);
  require(n <= copy.size() && n <= available);
  FrameWalk walk{std::span(copy).first(n), available};
  FrameWalk::Step step = walk.next();
  for (; step == FrameWalk::Step::frame; step = walk.next()) {
    require(!walk.payload().data() || (walk.payload().data() >= copy.data() &&
                                       walk.payload().data() + walk.payload().size() <= copy.data() + n));
  }
  if (step == FrameWalk::Step::broken) return false;
  require(walk.consumed() <= available && walk.cut_frame_bytes() <= available - walk.consumed());
  std::size_t done = walk.consumed();
  if (done == 0) done = walk.cut_frame_bytes();  // too large for the copy: passed over
  consumer.advance(done);
  consumer.give_back(before);
  require(consumer.cursor() - before == done);
  return done > 0;
}

void read_on(SharedConsumer& consumer, std::vector<std::byte>& copy, Vandal& vandal, bool alone) {
  for (std::size_t i = 0; i < 2 * vandal.writes() + 8; ++i) {
    if (alone) vandal.write(i);
    static_cast<void>(consumer.take_dropped());
    if (!read_once(consumer, copy)) return;
    if (i % 3 == 0) {
      static_cast<void>(consumer.arm());
      consumer.disarm();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 13) return 0;
  static const SharedMemory memory = *SharedMemory::create(kCapacity);
  const SharedParts parts = memory.parts();
  parts.producer->written.store(0);
  parts.producer->dropped.store(0);
  parts.producer->waiting.store(0);
  parts.consumer->read.store(0);
  SharedConsumer consumer(parts);
  SharedProducer producer(parts);
  std::vector<std::byte> copy(8 + data[1] * std::size_t{8});
  for (std::size_t i = 0; i < 8; ++i) {
    std::memset(producer.reserve(8 + i).data(), 'x', 8 + i);
    static_cast<void>(producer.commit(8 + i));
  }
  Vandal vandal(parts, data + 2, size - 2);
  if (data[0] % 2 == 0) {
    read_on(consumer, copy, vandal, true);
    return 0;
  }
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (std::size_t i = 0; !stop.load(std::memory_order_relaxed); ++i) vandal.write(i);
  });
  for (int round = 0; round < 64; ++round) read_on(consumer, copy, vandal, false);
  stop.store(true);
  other.join();
  return 0;
}
