// What it costs to read 128-byte records that are in the page cache: by the library, in batches of 256 views and by
// copying, and by the LogReader below it, which is what `fastlogctl cat` reads with. memcpy of the same file is the scale.
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "fastlog/fastlog_reader.h"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd {
namespace {

constexpr std::uint64_t kBytes = 64 * limits::kMiB;
constexpr std::size_t kBatch = 256;

/// One sealed segment, made once.
class Log {
 public:
  Log() : builder_(directory_.path(), kBytes) {
    builder_.begin();
    builder_.fill(128);
    builder_.seal();
  }
  [[nodiscard]] const std::string& directory() const { return directory_.path(); }
  [[nodiscard]] std::string file() const { return builder_.path(1); }
  [[nodiscard]] std::int64_t records() const { return static_cast<std::int64_t>(builder_.next_sequence) - 1; }

 private:
  test::TempDirectory directory_;
  test::LogBuilder builder_;
};

Log& log() {
  static Log the_log;
  return the_log;
}

void copy_of_the_file(benchmark::State& state) {
  const auto bytes = test::read_file(log().file());
  std::vector<std::byte> to(bytes.size());
  for (auto _ : state) {
    std::memcpy(to.data(), bytes.data(), bytes.size());
    benchmark::DoNotOptimize(to.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * log().records());
}
BENCHMARK(copy_of_the_file)->Unit(benchmark::kMillisecond);

void log_reader(benchmark::State& state) {
  std::int64_t read = 0;
  for (auto _ : state) {
    auto reader = segment::LogReader::open(log().directory(), segment::Access::mapped).value();
    segment::LogItem item;
    std::uint64_t bytes = 0;
    for (; reader.next(item) == segment::ReadStatus::item; ++read) bytes += item.record.slice.size();
    benchmark::DoNotOptimize(bytes);
  }
  if (read != static_cast<std::int64_t>(state.iterations()) * log().records())
    state.SkipWithError("records are missing");
  state.SetItemsProcessed(read);
}
BENCHMARK(log_reader)->Unit(benchmark::kMillisecond);

void poll_loop(benchmark::State& state) {
  std::vector<fastlog_record> records(kBatch);
  fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
  options.flags = static_cast<std::uint32_t>(state.range(0));
  std::int64_t read = 0;
  for (auto _ : state) {
    fastlog_reader* reader = nullptr;
    if (fastlog_reader_open(log().directory().c_str(), &options, &reader) != FASTLOG_OK) return;
    std::uint64_t bytes = 0;
    for (int n; (n = fastlog_reader_poll(reader, records.data(), kBatch, 0)) > 0; read += n) {
      for (int i = 0; i < n; ++i) bytes += records[static_cast<std::size_t>(i)].slice_bytes;
    }
    benchmark::DoNotOptimize(bytes);
    fastlog_reader_close(reader);
  }
  if (read != static_cast<std::int64_t>(state.iterations()) * log().records())
    state.SkipWithError("records are missing");
  state.SetItemsProcessed(read);
}
BENCHMARK(poll_loop)->Arg(0)->Arg(FASTLOG_READER_COPY)->ArgName("copy")->Unit(benchmark::kMillisecond);

/// What a program pays that looks again and again for something new behind a running daemon and finds nothing.
void empty_poll(benchmark::State& state) {
  const test::TempDirectory directory;
  test::LiveLog live(directory.path());
  live.begin();
  live.publish();
  fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
  options.from = FASTLOG_FROM_END;
  fastlog_reader* reader = nullptr;
  if (fastlog_reader_open(directory.path().c_str(), &options, &reader) != FASTLOG_OK) return;
  fastlog_record record;
  for (auto _ : state) {
    if (fastlog_reader_poll(reader, &record, 1, 0) != 0) state.SkipWithError("there was something to read");
  }
  fastlog_reader_close(reader);
}
BENCHMARK(empty_poll);

}  // namespace
}  // namespace fastlogd

BENCHMARK_MAIN();
