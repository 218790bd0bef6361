// What a record costs in a segment: append against a memcpy of as many bytes, checking a frame, reading one.
// Numbers that are compared come from one run; the throughput of a whole store is measured by append_tool.
#include <unistd.h>

#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "segment/segment_cursor.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::uint64_t kBytes = 64 * limits::kMiB;

Mapping memory() {
  auto mapping = posix_file_system().map(-1, 0, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  std::memset(mapping->data(), 0, kBytes);  // no page faults in what is measured
  return std::move(mapping.value());
}

/// Makes every INDEX a frame of a type that readers skip, as a log of version 1.0 has none.
void hide_index(const test::LogBuilder& log) {
  auto opened = open_segment(posix_file_system(), log.directory(), 1).value();
  FileTrailer trailer = *opened.trailer;
  for (std::uint64_t at = trailer.last_index_offset; at != 0;) {
    std::uint64_t previous = 0;
    test::forge(log.path(1), at, [&](FrameHeader& header, std::span<std::byte> payload) {
      header.type = FrameType{kSkippableTypeBit | 1};
      std::memcpy(&previous, payload.data(), sizeof previous);
    });
    at = previous;
  }
  trailer.last_index_offset = 0;
  test::poke(log.path(1), frames_end(kBytes), encode(trailer));
}

void append_record(benchmark::State& state) {
  PreparedSegment segment;
  segment.header.segment_bytes = kBytes;
  segment.header.segment_uuid = random_uuid();
  segment.mapping = memory();
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  SegmentWriter writer;
  std::uint64_t sequence = 1;
  const auto begin = [&] { writer.start(segment, {.first_sequence = sequence}, 1); };
  begin();
  for (auto _ : state) {
    const NewRecord record{.sequence = Sequence{sequence++},
                           .receive_time_ns = 1,
                           .source = 0,
                           .priority = {},
                           .flags = {},
                           .extension = {},
                           .slice = text};
    if (writer.append(record)) continue;
    state.PauseTiming();
    std::memset(segment.mapping.data(), 0, kBytes);
    begin();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(padded(kFrameHeaderBytes + text.size())));
}
BENCHMARK(append_record)->Arg(128)->Arg(1024);

/// The yardstick: the same bytes into the same kind of memory, nothing else.
void copy_record(benchmark::State& state) {
  const Mapping to = memory();
  const std::size_t frame = padded(kFrameHeaderBytes + static_cast<std::size_t>(state.range(0)));
  const std::string text(frame, 'x');
  std::size_t at = 0;
  for (auto _ : state) {
    std::memcpy(to.data() + at, text.data(), frame);
    benchmark::ClobberMemory();
    at += frame;
    if (at + frame > kBytes) at = 0;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame));
}
BENCHMARK(copy_record)->Arg(128)->Arg(1024);

void check_a_frame(benchmark::State& state) {
  const test::TempDirectory directory;
  test::LogBuilder log(directory.path());
  log.begin();
  const std::uint64_t at = log.writer.offset();
  FASTLOGD_CHECK(log.add(std::string(static_cast<std::size_t>(state.range(0)), 'x')));
  const std::uint32_t salt = checksum_salt(log.file->header.segment_uuid);
  const auto bytes = log.file->mapping.bytes().subspan(at);
  FrameView frame;
  for (auto _ : state) {
    if (check_frame(bytes, at, salt, frame) != FrameStatus::valid) state.SkipWithError("frame is not valid");
    benchmark::DoNotOptimize(frame);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.end() - at));
}
BENCHMARK(check_a_frame)->Arg(128)->Arg(1024);

void read_record(benchmark::State& state) {
  const test::TempDirectory directory;
  test::LogBuilder log(directory.path(), 32 * limits::kMiB);
  log.begin();
  log.fill(128);
  log.seal();
  auto reader = LogReader::open(directory.path(), state.range(0) == 0 ? Access::mapped : Access::pread);
  LogItem item;
  for (auto _ : state) {
    while (reader->next(item) != ReadStatus::item) reader->seek_oldest();
    benchmark::DoNotOptimize(item);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_record)->ArgName("pread")->Arg(0)->Arg(1);

/// A jump to a random record of a full segment, from the open log on: with INDEX frames, and as if there were none.
void seek_record(benchmark::State& state) {
  const test::TempDirectory directory;
  test::LogBuilder log(directory.path(), kBytes);
  log.begin();
  log.fill(128);
  log.seal();
  if (state.range(0) == 0) hide_index(log);
  auto reader = LogReader::open(directory.path(), state.range(1) == 0 ? Access::mapped : Access::pread);
  std::uint64_t random = 1;
  LogItem item;
  for (auto _ : state) {
    random = random * 6364136223846793005 + 1442695040888963407;
    const Sequence wanted{1 + (random >> 33) % (log.next_sequence - 1)};
    if (!reader->seek_sequence(wanted) || reader->next(item) != ReadStatus::item ||
        item.record.sequence != wanted)
      state.SkipWithError("not found");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(seek_record)->ArgNames({"index", "pread"})->ArgsProduct({{0, 1}, {0, 1}});

}  // namespace
}  // namespace fastlogd::segment

BENCHMARK_MAIN();
