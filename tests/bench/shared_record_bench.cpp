// Reading the records of a ring's frames, without and with structured data, beside a bare walk over the same lengths.
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "wire/shared_record.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;

constexpr std::size_t kRecords = 2000;
constexpr std::string_view kData = R"([req@1 id="4711" user="nobody"] )";

/// Payloads of 60 to 220 bytes of message, each behind its length.
std::vector<std::byte> payloads(bool with_fields) {
  std::vector<std::byte> all;
  for (std::size_t i = 0; i < kRecords; ++i) {
    const std::string slice =
        (with_fields ? std::string(kData) : std::string()) + std::string(60 + i * 37 % 161, 'x');
    const std::size_t bytes = (shared_record_start(false) + slice.size() + 7) / 8 * 8;
    const std::size_t at = all.size();
    all.resize(at + 8 + bytes);
    std::memcpy(all.data() + at, &bytes, 8);
    std::byte* const to = all.data() + at + 8;
    write_shared_record(to, i + 1, Priority{14}, with_fields ? kData.size() : 0, slice.size(), kNoTime);
    std::memcpy(to + shared_record_start(false), slice.data(), slice.size());
  }
  return all;
}

template <class Use>
void walk(benchmark::State& state, const std::vector<std::byte>& all, Use use) {
  for (auto _ : state) {
    for (std::size_t at = 0; at < all.size();) {
      std::size_t bytes = 0;
      std::memcpy(&bytes, all.data() + at, 8);
      use(std::span(all).subspan(at + 8, bytes));
      at += 8 + bytes;
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRecords));
}

void lengths_alone(benchmark::State& state) {
  walk(state, payloads(false), [](std::span<const std::byte> payload) { benchmark::DoNotOptimize(payload); });
}

void read(benchmark::State& state, bool with_fields) {
  walk(state, payloads(with_fields), [](std::span<const std::byte> payload) {
    SharedRecord record;
    benchmark::DoNotOptimize(read_shared_record(payload, record));
    benchmark::DoNotOptimize(record);
  });
}

BENCHMARK(lengths_alone);
BENCHMARK_CAPTURE(read, plain, false);
BENCHMARK_CAPTURE(read, with_fields, true);

}  // namespace

BENCHMARK_MAIN();
