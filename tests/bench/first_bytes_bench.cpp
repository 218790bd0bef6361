// Runs once per connection and once per datagram.
#include <string_view>

#include <benchmark/benchmark.h>

#include "wire/first_bytes.hpp"

namespace {

void classify(benchmark::State& state, std::string_view bytes) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    benchmark::DoNotOptimize(fastlogd::wire::classify_first_bytes(bytes));
  }
}

BENCHMARK_CAPTURE(classify, syslog, "<13>Nov 22 23:05:01 vm app[1]: hello");
BENCHMARK_CAPTURE(classify, worst_text, "x^2 + y^2 = z^2");

}  // namespace

BENCHMARK_MAIN();
