// Hand-over of 128-byte entries between two threads: ByteRing against boost::lockfree::spsc_queue of the same capacity.
// Each benchmark moves a fixed number of entries and both sides do the same work: one copy in, one copy out. Each side
// has a processor of its own, if the machine has two: which of them share one is the scheduler's mood otherwise.
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <thread>

#include <benchmark/benchmark.h>
#include <boost/lockfree/spsc_queue.hpp>

#include "ring/byte_ring.hpp"

namespace {

constexpr std::size_t kEntryBytes = 128;
constexpr std::size_t kRingEntries = 8192;
constexpr std::size_t kEntries = 10'000'000;
constexpr std::size_t kBatch = 64;  // entries that a consumer takes at once, and then gives their room back
using Entry = std::array<std::byte, kEntryBytes>;

Entry first_entry() {
  Entry entry;
  entry.fill(std::byte{0x5a});
  return entry;
}

void report(benchmark::State& state) {
  const auto moved = static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(kEntries);
  state.SetItemsProcessed(moved);
  state.SetBytesProcessed(moved * static_cast<std::int64_t>(kEntryBytes));
}

enum class Side { producer, consumer };

/// The calling thread keeps to the first processor that the process may use, or to the last one.
void keep_to_processor_of(Side side) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)::sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  int first = -1;
  int last = -1;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed)) continue;
    if (first < 0) first = i;
    last = i;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(side == Side::producer ? first : last, &one);
  (void)::sched_setaffinity(0, sizeof one, &one);
}

void consume(fastlogd::ring::ByteRing& ring) {
  keep_to_processor_of(Side::consumer);
  Entry out;
  for (std::size_t taken = 0; taken < kEntries;) {
    const auto all = ring.peek();
    const auto bytes = all.first(std::min(all.size(), kBatch * kEntryBytes));
    if (bytes.empty()) {
      std::this_thread::yield();
      continue;
    }
    for (std::size_t at = 0; at < bytes.size(); at += kEntryBytes) {
      std::memcpy(out.data(), bytes.data() + at, kEntryBytes);
      benchmark::DoNotOptimize(out);
    }
    ring.release(bytes.size());
    taken += bytes.size() / kEntryBytes;
  }
}

void byte_ring(benchmark::State& state, fastlogd::ring::Layout layout) {
  keep_to_processor_of(Side::producer);
  const Entry entry = first_entry();
  const auto ring = *fastlogd::ring::ByteRing::create(kRingEntries * kEntryBytes, layout);
  for (auto _ : state) {
    std::thread consumer([&] { consume(*ring); });
    for (std::size_t i = 0; i < kEntries;) {
      const auto room = ring->reserve(kEntryBytes);
      if (room.empty()) {
        std::this_thread::yield();
        continue;
      }
      std::memcpy(room.data(), entry.data(), kEntryBytes);
      ring->commit(kEntryBytes);
      ++i;
    }
    consumer.join();
  }
  report(state);
}

using Queue = boost::lockfree::spsc_queue<Entry, boost::lockfree::capacity<kRingEntries>>;

/// `batch`: how many the consumer pops at once; 1 is the queue's plain interface.
void spsc_queue(benchmark::State& state, std::size_t batch) {
  keep_to_processor_of(Side::producer);
  const Entry entry = first_entry();
  const auto queue = std::make_unique<Queue>();
  for (auto _ : state) {
    std::thread consumer([&] {
      keep_to_processor_of(Side::consumer);
      const auto out = std::make_unique<Entry[]>(batch);
      for (std::size_t taken = 0; taken < kEntries;) {
        const std::size_t n = queue->pop(out.get(), batch);
        if (n == 0) std::this_thread::yield();
        benchmark::DoNotOptimize(out.get());
        taken += n;
      }
    });
    for (std::size_t i = 0; i < kEntries;) {
      if (queue->push(entry)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
    consumer.join();
  }
  report(state);
}

BENCHMARK_CAPTURE(byte_ring, doubled, fastlogd::ring::Layout::doubled)->UseRealTime();
BENCHMARK_CAPTURE(spsc_queue, pop_one, 1)->UseRealTime();
BENCHMARK_CAPTURE(spsc_queue, pop_64, kBatch)->UseRealTime();
BENCHMARK_CAPTURE(byte_ring, padded, fastlogd::ring::Layout::padded)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
