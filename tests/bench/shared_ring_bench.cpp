// A call's share of the ring between processes: reserve, copy 128 bytes, commit, with nobody reading (bursts that fit)
// and with a consumer that copies everything out again, beside the bare memcpy of the same bytes into the same memory.
#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"

namespace {

using namespace fastlogd::ring;

constexpr std::size_t kCapacity = std::size_t{4} << 20;
constexpr std::size_t kPayloadBytes = 128;
constexpr std::size_t kBurst = 4096;  // fits the ring
constexpr std::size_t kRecords = 2'000'000;

std::array<char, kPayloadBytes> message() {
  std::array<char, kPayloadBytes> text;
  text.fill('m');
  return text;
}

void copy_alone(benchmark::State& state) {
  const SharedMemory memory = *SharedMemory::create(kCapacity);
  const auto text = message();
  std::size_t at = 0;
  for (auto _ : state) {
    std::memcpy(memory.parts().data + at, text.data(), text.size());
    benchmark::ClobberMemory();
    at = (at + 136) % (kCapacity - 136);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kPayloadBytes));
}

void write_one(SharedProducer& producer, const std::array<char, kPayloadBytes>& text) {
  auto room = producer.reserve(text.size());
  while (room.empty()) {
    std::this_thread::yield();
    room = producer.reserve(text.size());
  }
  std::memcpy(room.data(), text.data(), text.size());
  benchmark::DoNotOptimize(producer.commit(text.size()));
}

void burst_that_fits(benchmark::State& state) {
  const SharedMemory memory = *SharedMemory::create(kCapacity);
  SharedProducer producer(memory.parts());
  SharedConsumer consumer(memory.parts());
  const auto text = message();
  while (state.KeepRunningBatch(kBurst)) {
    for (std::size_t i = 0; i < kBurst; ++i) write_one(producer, text);
    while (consumer.look() == Look::data) consumer.advance(consumer.available());
    consumer.give_back(consumer.cursor());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kPayloadBytes));
}

void consume(SharedConsumer& consumer) {
  std::vector<std::byte> copy(std::size_t{64} << 10);
  for (std::size_t seen = 0; seen < kRecords;) {
    if (consumer.look() != Look::data) {
      std::this_thread::yield();
      continue;
    }
    FrameWalk walk{std::span(copy).first(consumer.copy(copy)), consumer.available()};
    while (walk.next() == FrameWalk::Step::frame) ++seen;
    consumer.advance(walk.consumed());
    consumer.give_back(consumer.cursor());
  }
}

void through_two_threads(benchmark::State& state) {
  const auto text = message();
  for (auto _ : state) {
    const SharedMemory memory = *SharedMemory::create(kCapacity);
    SharedProducer producer(memory.parts());
    SharedConsumer consumer(memory.parts());
    std::thread other([&] { consume(consumer); });
    for (std::size_t i = 0; i < kRecords; ++i) write_one(producer, text);
    other.join();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRecords));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kRecords * kPayloadBytes));
}

BENCHMARK(copy_alone);
BENCHMARK(burst_that_fits);
BENCHMARK(through_two_threads)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
