// Writing BATCHes, against a memcpy of the finished bytes; reading acknowledgements.
#include <array>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "wire/native.hpp"
#include "wire/native_client.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;

constexpr std::size_t kRecords = 100;
const std::string kText(140, 'x');

std::string one_batch() {
  std::string out;
  NativeBatch batch(out, 1, Wanted::stored);
  for (std::size_t i = 0; i < kRecords; ++i) batch.add({.priority = Priority{13}, .text = kText});
  batch.finish();
  return out;
}

void count(benchmark::State& state, std::size_t records, std::size_t bytes) {
  const auto rounds = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(records));
  state.SetBytesProcessed(rounds * static_cast<std::int64_t>(bytes));
}

void write_batch(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    NativeBatch batch(out, 1, Wanted::stored);
    for (std::size_t i = 0; i < kRecords; ++i) batch.add({.priority = Priority{13}, .text = kText});
    batch.finish();
    benchmark::DoNotOptimize(out.data());
  }
  count(state, kRecords, out.size());
}

void memcpy_of_a_batch(benchmark::State& state) {
  const std::string bytes = one_batch();
  std::string out(bytes.size(), '\0');
  for (auto _ : state) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, kRecords, bytes.size());
}

void read_acks(benchmark::State& state) {
  std::array<char, 256> one;
  std::string bytes;
  for (std::uint64_t i = 1; i <= kRecords; ++i) bytes.append(one.data(), write_ack(one, i, i));
  for (auto _ : state) {
    std::string_view rest = bytes;
    NativeReply reply;
    for (std::size_t consumed = 0; read_reply(rest, reply, consumed) == ReplyStatus::message;) {
      rest.remove_prefix(consumed);
    }
    benchmark::DoNotOptimize(reply);
  }
  count(state, kRecords, bytes.size());
}

BENCHMARK(memcpy_of_a_batch);
BENCHMARK(write_batch);
BENCHMARK(read_acks);

}  // namespace

BENCHMARK_MAIN();
