// Framing of lines as long as real ones, against a bare memchr loop over the same bytes; and the worst sender, who sends
// one byte at a time.
#include <array>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "base/limits.hpp"
#include "wire/stream_framer.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;

constexpr std::size_t kLines = 2000;

/// Lines of 60 to 220 bytes, 140 on average, as in the HDFS logs.
std::string lines() {
  std::string text;
  for (std::size_t i = 0; i < kLines; ++i) text += std::string(60 + i * 37 % 161, 'x') + '\n';
  return text;
}

std::string counted() {
  std::string text;
  for (std::size_t i = 0; i < kLines; ++i) {
    const std::string body = "<13>" + std::string(56 + i * 37 % 161, 'x');
    text += std::to_string(body.size()) + ' ' + body;
  }
  return text;
}

void count(benchmark::State& state, const std::string& text, std::size_t messages) {
  const auto rounds = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(messages));
  state.SetBytesProcessed(rounds * static_cast<std::int64_t>(text.size()));
}

void split(benchmark::State& state, const std::string& text) {
  std::array<FramedMessage, 4096> out;
  for (auto _ : state) {
    StreamFramer framer(FramingMode::automatic, limits::kRecordBytesDefault);
    const FrameResult result = framer.split(text, out);
    if (result.messages != kLines) state.SkipWithError("wrong number of messages");
    benchmark::DoNotOptimize(out);
  }
  count(state, text, kLines);
}

void framer_lines(benchmark::State& state) {
  split(state, lines());
}
void framer_octet_counting(benchmark::State& state) {
  split(state, counted());
}

void memchr_alone(benchmark::State& state) {
  const std::string text = lines();
  for (auto _ : state) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
      at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at))) + 1;
      benchmark::DoNotOptimize(at);
    }
  }
  count(state, text, kLines);
}

/// A line of `range` bytes, byte by byte: time per byte must not grow with the line.
void framer_one_byte_reads(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const std::string text = std::string(bytes - 1, 'x') + '\n';
  std::array<FramedMessage, 4> out;
  for (auto _ : state) {
    StreamFramer framer(FramingMode::lines, limits::kRecordBytesDefault);
    std::size_t messages = 0;
    for (std::size_t read = 1; read <= bytes; ++read)
      messages += framer.split({text.data(), read}, out).messages;
    if (messages != 1) state.SkipWithError("wrong number of messages");
  }
  count(state, text, 1);
}

BENCHMARK(memchr_alone);
BENCHMARK(framer_lines);
BENCHMARK(framer_octet_counting);
BENCHMARK(framer_one_byte_reads)->Arg(1024)->Arg(65536);

}  // namespace

BENCHMARK_MAIN();
