// Both ends of a ring between processes in two threads, at full speed, through one mapping: the thread sanitizer sees
// every hand-over, and every byte is checked.
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"

namespace fastlogd::ring {
namespace {

constexpr std::size_t kCapacity = 16384;
constexpr std::uint64_t kRecords = 200'000;

std::size_t payload_of(std::uint64_t number) {
  return 8 + (number * 2654435761U % 60) * 8;
}

void produce(SharedProducer& producer) {
  for (std::uint64_t number = 0; number < kRecords; ++number) {
    const std::size_t n = payload_of(number);
    auto room = producer.reserve(n);
    while (room.empty()) {
      producer.wait_for_space(n, std::chrono::seconds(1));
      room = producer.reserve(n);
    }
    for (std::size_t at = 0; at < n; at += 8) std::memcpy(room.data() + at, &number, 8);
    static_cast<void>(producer.commit(n));
  }
}

/// Gives back late, as a daemon does that waits until records are stored. Returns the records seen, all in order.
std::uint64_t consume(SharedConsumer& consumer) {
  std::vector<std::byte> copy(4096);
  std::uint64_t number = 0;
  while (number < kRecords) {
    const Look look = consumer.look();
    if (look == Look::broken) return 0;
    if (look == Look::empty) {
      consumer.give_back(consumer.cursor());
      std::this_thread::yield();
      continue;
    }
    FrameWalk walk{std::span(copy).first(consumer.copy(copy)), consumer.available()};
    FrameWalk::Step step = walk.next();
    for (; step == FrameWalk::Step::frame; step = walk.next(), ++number) {
      if (walk.payload().size() != payload_of(number)) return 0;
      for (std::size_t at = 0; at < walk.payload().size(); at += 8) {
        if (std::memcmp(walk.payload().data() + at, &number, 8) != 0) return 0;
      }
    }
    if (step == FrameWalk::Step::broken) return 0;
    const std::uint64_t before = consumer.cursor();
    consumer.advance(walk.consumed());
    if (before % 3 == 0) consumer.give_back(before);
  }
  return number;
}

TEST(SharedTwoThreads, EveryRecordArrivesWholeAndInOrder) {
  const SharedMemory memory = *SharedMemory::create(kCapacity);
  SharedProducer producer(memory.parts());
  SharedConsumer consumer(memory.parts());
  std::thread other([&] { produce(producer); });
  const std::uint64_t seen = consume(consumer);
  EXPECT_EQ(seen, kRecords);
  if (seen != kRecords) std::_Exit(1);  // the producer may wait for ever
  other.join();
}

}  // namespace
}  // namespace fastlogd::ring
