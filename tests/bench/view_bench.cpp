// Rendering and filtering per record. Goal: 1 million lines a second and more in the text file's format.
#include <string>

#include <benchmark/benchmark.h>

#include "view/filter.hpp"
#include "view/json.hpp"
#include "view/text.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::view;

constexpr std::size_t kBatch = 1000;

RecordView record() {
  RecordView view;
  view.sequence.value = 1'234'567;
  view.receive_time_ns = 1'795'388'701'123'456'789;
  view.source.transport = Transport::unix_stream;
  view.source.uid = 1000;
  view.source.gid = 1000;
  view.source.pid = 7170;
  view.source.identifier = "java";
  view.slice =
      "081109 204005 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: "
      "10.251.73.220:50010 "
      "is added to blk_7128370237687728475 size 67108864";
  return view;
}

void render(benchmark::State& state, OutputFormat format, bool escape) {
  TextOptions options;
  options.format = format;
  options.escape = escape;
  RecordRenderer renderer(options);
  RecordView view = record();
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (std::size_t i = 0; i < kBatch; ++i) {
      view.receive_time_ns += 40'000;
      renderer.append(out, view);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}

void filter(benchmark::State& state, const char* pattern) {
  FilterSpec spec;
  spec.pattern = pattern;
  const RecordFilter compiled = RecordFilter::compile(std::move(spec)).value();
  const RecordView view = record();
  for (auto _ : state) benchmark::DoNotOptimize(compiled.matches(view));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

BENCHMARK_CAPTURE(render, text_file, OutputFormat::short_form, true);
BENCHMARK_CAPTURE(render, short_iso, OutputFormat::short_iso, false);
BENCHMARK_CAPTURE(render, json, OutputFormat::json, false);
BENCHMARK_CAPTURE(render, cat, OutputFormat::cat, false);
BENCHMARK_CAPTURE(filter, plain_text, "Verification succeeded");
BENCHMARK_CAPTURE(filter, ignoring_case, "verification succeeded");
BENCHMARK_CAPTURE(filter, expression, "blk_-?[0-9]+ terminating");

}  // namespace

BENCHMARK_MAIN();
