// How long a reload keeps the main thread: the shipped example, and a file as large as anybody will write.
#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "config/diff.hpp"
#include "config/load.hpp"

namespace fastlogd::config {
namespace {

/// `streams` streams with all their keys, and four listeners for each.
std::string text_with(unsigned streams) {
  std::string text = "streams:\n";
  for (unsigned i = 0; i < streams; ++i) {
    text += fmt::format(
        "  s{0}:\n    directory: /data/s{0}\n    segment_bytes: 64MiB\n    durability: {{mode: interval, "
        "interval: 1s}}\n"
        "    retention: {{bytes_max: 8GiB, age_max: 30d, keep_free: 1GiB}}\n    when_full: block\n"
        "    text: {{path: /data/s{0}.log, rotate_bytes: 100MiB, keep: 10}}\n",
        i);
  }
  text += "listeners:\n";
  for (unsigned i = 0; i < streams * 4; ++i) {
    text += fmt::format(
        "  - {{name: l{0}, transport: unix-stream, path: /run/l{0}.sock, mode: \"0666\", stream: s{1}}}\n", i,
        i / 4);
  }
  return text;
}

Sources sources_with(unsigned streams) {
  Sources sources;
  sources.files.push_back({"fastlogd.yaml", text_with(streams), {}, false});
  return sources;
}

void LoadAndCheck(benchmark::State& state) {
  const Sources sources = sources_with(static_cast<unsigned>(state.range(0)));
  for (auto _ : state) {
    const Loaded loaded = load_sources(sources);
    if (!loaded.ok()) state.SkipWithError(format_problems(loaded.problems).c_str());
    benchmark::DoNotOptimize(loaded.config.get());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(sources.files[0].bytes.size()));
}
BENCHMARK(LoadAndCheck)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond);

void DiffAndMerge(benchmark::State& state) {
  const auto streams = static_cast<unsigned>(state.range(0));
  const Loaded running = load_sources(sources_with(streams));
  Config wanted = *running.config;
  wanted.streams.back().store.retention.bytes_max *= 2;
  for (auto _ : state) {
    benchmark::DoNotOptimize(diff(*running.config, wanted));
    benchmark::DoNotOptimize(merge_live(*running.config, wanted));
  }
}
BENCHMARK(DiffAndMerge)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace fastlogd::config

BENCHMARK_MAIN();
