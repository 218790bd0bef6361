// How fast fixed-size records get into segments, against memcpy into such a mapping and against the disk itself.
//
//   memcpy    frame-sized memcpy of the same source into a fresh file's mapping: what the memory allows
//   writer    segment::SegmentWriter called directly, on segments prepared before the clock starts
//   appender  a producer thread, a ring, and the stream's own threads: the daemon without sockets
//   disk      pwrite of 1 MiB and one fdatasync per segment-sized file: what the disk allows
//
// Each run prints one JSON object. The directory is the caller's to remove.

#include <fcntl.h>
#include <sys/mman.h>

#include <deque>
#include <filesystem>
#include <optional>

#include <CLI/CLI.hpp>

#include "base/file_system.hpp"
#include "bench/ahead_helper.hpp"
#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/store_under_test.hpp"
#include "segment/segment_file.hpp"
#include "segment/segment_writer.hpp"

namespace fastlogd::bench {
namespace {

constexpr std::size_t kBatch = 64;  // records between two publications, and of one ring block

struct Options {
  std::string directory;
  std::string corpus;
  std::uint64_t bytes = 2 * limits::kGiB;  ///< of frames, all together
  std::size_t record_bytes = 128;
  std::uint64_t segment_bytes = limits::kSegmentBytesDefault;
  std::uint64_t keep_bytes = 0;  ///< retention; 0 keeps all
  bool populate = true;
  bool huge_pages = true;
  bool durable = false;  ///< the clock stops when all is on disk

  [[nodiscard]] std::size_t frame_bytes() const {
    return segment::padded(segment::kFrameHeaderBytes + record_bytes);
  }
  [[nodiscard]] std::uint64_t records() const { return bytes / frame_bytes(); }
};

void print_result(const Options& options, std::uint64_t records, double seconds, double cpu_before,
                  Samples& calls, const TickClock& clock, const std::string& more) {
  fmt::print(
      R"({{"records": {}, "seconds": {:.6f}, "frame_bytes": {}, "record_bytes": {}, "call_ns": {}, {}{}}})"
      "\n",
      records, seconds, options.frame_bytes(), options.record_bytes, calls.json(clock.nanos_per_tick()),
      usage_json(cpu_before), more);
}

/// A fresh file of options.bytes, allocated and mapped as a segment is.
Mapping fresh_mapping(const Options& options, const std::string& path) {
  FileSystem& files = posix_file_system();
  const UniqueFd fd = files.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600).value();
  files.allocate(fd.get(), 0, options.bytes).value();
  files.sync_data(fd.get()).value();  // as a prepared segment's header is
  Mapping mapping = files.map(fd.get(), 0, options.bytes, PROT_READ | PROT_WRITE, MAP_SHARED).value();
  if (options.huge_pages) (void)::madvise(mapping.data(), mapping.size(), MADV_HUGEPAGE);
  return mapping;
}

void run_memcpy(const Options& options) {
  const std::size_t frame = options.frame_bytes();
  const FixedRecords source(options.corpus, options.record_bytes, frame);
  const std::string path = options.directory + "/memcpy.bin";
  Mapping mapping = fresh_mapping(options, path);
  std::optional<AheadHelper> helper;
  if (options.populate) {
    helper.emplace(std::vector{std::span(mapping.data(), mapping.size())});
    helper->reached(0);
  }
  const TickClock clock;
  const std::uint64_t records = options.records();
  Samples calls(records / kBatch + 1);
  warm_memory(std::min<std::uint64_t>(options.bytes, 5 * limits::kGiB) + limits::kGiB);
  const double cpu_before = cpu_seconds();
  const std::int64_t started_ns = monotonic_ns();
  std::byte* to = mapping.data();
  std::size_t from = 0;
  for (std::uint64_t done = 0; done < records;) {
    const std::uint64_t end = std::min(records, done + kBatch);
    const std::uint64_t before = TickClock::now();
    std::memcpy(to, source.record(from).data(), frame);
    calls.add(TickClock::now() - before);
    for (to += frame, ++done; done < end; ++done, to += frame) {
      if (++from == source.count()) from = 0;
      std::memcpy(to, source.record(from).data(), frame);
    }
    if (++from == source.count()) from = 0;
    if (helper) helper->reached(static_cast<std::uint64_t>(to - mapping.data()));
  }
  const double seconds = seconds_since(started_ns);
  helper.reset();
  print_result(options, records, seconds, cpu_before, calls, clock, "");
  mapping.reset();
  std::filesystem::remove(path);
}

std::vector<segment::PreparedSegment> prepare_segments(const Options& options) {
  std::vector<segment::PreparedSegment> segments;
  const std::uint64_t usable = options.segment_bytes / 100 * 99;  // header, trailer, checkpoints, padding
  const std::uint64_t count = options.bytes / usable + 1;
  for (std::uint64_t index = 1; index <= count; ++index) {
    segments.push_back(segment::prepare_segment(posix_file_system(), {.directory = options.directory,
                                                                      .index = index,
                                                                      .epoch = 1,
                                                                      .segment_bytes = options.segment_bytes,
                                                                      .boot_id = segment::current_boot_id()})
                           .value());
    if (!options.huge_pages) {
      (void)::madvise(segments.back().mapping.data(), options.segment_bytes, MADV_NOHUGEPAGE);
    }
  }
  return segments;
}

/// SegmentWriter across prepared segments, publishing once per batch.
class DirectWriter {
 public:
  explicit DirectWriter(const Options& options) : options_(options), segments_(prepare_segments(options)) {
    if (options.populate) {
      std::vector<std::span<std::byte>> pieces;
      for (auto& segment : segments_) pieces.emplace_back(segment.mapping.data(), segment.mapping.size());
      helper_.emplace(std::move(pieces));
      helper_->reached(0);
    }
    open_next();
  }
  void append(std::string_view record, std::int64_t time_ns) {
    const segment::NewRecord next{
        .sequence = Sequence{next_sequence_}, .receive_time_ns = time_ns, .slice = record};
    if (!writer_.append(next)) [[unlikely]] {
      writer_.seal(opened_ + 1);
      open_next();
      FASTLOGD_CHECK(writer_.append(next));
    }
    ++next_sequence_;
  }
  void publish() {
    committed_.store(writer_.position().value, std::memory_order_release);
    if (helper_) helper_->reached((opened_ - 1) * options_.segment_bytes + writer_.offset());
  }
  [[nodiscard]] std::size_t segments_used() const { return opened_; }
  void end() { helper_.reset(); }

 private:
  void open_next() {
    FASTLOGD_CHECK(opened_ < segments_.size());
    writer_.start(segments_[opened_++], {.first_sequence = next_sequence_, .epoch = 1}, realtime_ns());
  }

  const Options& options_;
  std::vector<segment::PreparedSegment> segments_;
  std::optional<AheadHelper> helper_;
  segment::SegmentWriter writer_;
  std::size_t opened_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::atomic<std::uint64_t> committed_{0};
};

void run_writer(const Options& options) {
  const FixedRecords source(options.corpus, options.record_bytes, 0);
  DirectWriter writer(options);
  const TickClock clock;
  const std::uint64_t records = options.records();
  Samples calls(records / kBatch + 1);
  warm_memory(std::min<std::uint64_t>(options.bytes, 5 * limits::kGiB) + limits::kGiB);
  const double cpu_before = cpu_seconds();
  const std::int64_t started_ns = monotonic_ns();
  std::size_t from = 0;
  for (std::uint64_t done = 0; done < records;) {
    const std::uint64_t end = std::min(records, done + kBatch);
    const std::int64_t time_ns = realtime_ns();
    const std::uint64_t before = TickClock::now();
    writer.append(source.record(from), time_ns);
    calls.add(TickClock::now() - before);
    for (++done; done < end; ++done) {
      if (++from == source.count()) from = 0;
      writer.append(source.record(from), time_ns);
    }
    if (++from == source.count()) from = 0;
    writer.publish();
  }
  const double seconds = seconds_since(started_ns);
  writer.end();
  print_result(options, records, seconds, cpu_before, calls, clock,
               fmt::format(R"(, "segments": {})", writer.segments_used()));
}

append::StreamOptions stream_options(const Options& options) {
  append::StreamOptions stream;
  stream.directory = options.directory + "/log";
  stream.segment_bytes = options.segment_bytes;
  stream.durability = {.mode = append::DurabilityMode::none};
  stream.retention = {.bytes_max = options.keep_bytes, .keep_free = 0};
  return stream;
}

void run_appender(const Options& options) {
  const FixedRecords source(options.corpus, options.record_bytes, options.record_bytes * kBatch);
  StoreUnderTest under_test(stream_options(options));
  const TickClock clock;
  const std::uint64_t records = options.records() / kBatch * kBatch;
  Samples calls(records / kBatch + 1);
  const std::size_t last_start = source.count() - kBatch;
  warm_memory(std::min<std::uint64_t>(options.bytes, 5 * limits::kGiB) + limits::kGiB);
  const double cpu_before = cpu_seconds();
  const std::int64_t started_ns = monotonic_ns();
  std::size_t from = 0;
  for (std::uint64_t done = 0; done < records; done += kBatch) {
    const std::uint64_t before = TickClock::now();
    under_test.send(source.record(from).data(), options.record_bytes, kBatch);
    calls.add(TickClock::now() - before);
    from = from + kBatch > last_start ? 0 : from + kBatch;
  }
  under_test.wait_until_stored(records);
  if (options.durable) under_test.store().sync(std::chrono::minutes(10)).value();
  const double seconds = seconds_since(started_ns);
  const auto& counters = under_test.store().counters();
  const auto status = under_test.store().status();
  print_result(
      options, records, seconds, cpu_before, calls, clock,
      fmt::format(
          R"(, "segments": {}, "segment_waits": {}, "removed": {}, "huge_pages": {}, "populated": {})",
          counters.rolls.value() + 1, counters.waits_for_segment.value(), counters.segments_removed.value(),
          status.huge_pages, status.populated_ahead));
  under_test.stop();
}

void run_disk(const Options& options) {
  FileSystem& files = posix_file_system();
  const std::vector<std::byte> chunk(limits::kMiB, std::byte{0x41});
  std::deque<std::string> kept;
  const TickClock clock;
  Samples calls(options.bytes / limits::kMiB + 1);
  warm_memory(std::min<std::uint64_t>(options.bytes, 5 * limits::kGiB) + limits::kGiB);
  const double cpu_before = cpu_seconds();
  const std::int64_t started_ns = monotonic_ns();
  for (std::uint64_t done = 0; done < options.bytes; done += options.segment_bytes) {
    kept.push_back(fmt::format("{}/disk-{}.bin", options.directory, done / options.segment_bytes));
    const UniqueFd fd = files.open(kept.back(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600).value();
    files.allocate(fd.get(), 0, options.segment_bytes).value();
    for (std::uint64_t at = 0; at < options.segment_bytes; at += chunk.size()) {
      const std::uint64_t before = TickClock::now();
      files.write_at(fd.get(), chunk, at).value();
      calls.add(TickClock::now() - before);
    }
    files.sync_data(fd.get()).value();
    while (options.keep_bytes != 0 && kept.size() * options.segment_bytes > options.keep_bytes) {
      std::filesystem::remove(kept.front());
      kept.pop_front();
    }
  }
  print_result(options, options.records(), seconds_since(started_ns), cpu_before, calls, clock, "");
  for (const std::string& path : kept) std::filesystem::remove(path);
}

int run(int argc, char** argv) {
  CLI::App app{"How fast records get into segments, against memcpy and the disk"};
  Options options;
  std::string mode;
  app.add_option("mode", mode, "what to measure")
      ->required()
      ->check(CLI::IsMember({"memcpy", "writer", "appender", "disk"}));
  app.add_option("--directory", options.directory, "an empty directory on the file system to measure")
      ->required();
  app.add_option("--corpus", options.corpus, "file whose lines make the records")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--bytes", options.bytes, "frame bytes to store")->transform(CLI::AsSizeValue(false));
  app.add_option("--record-bytes", options.record_bytes, "bytes of one record")->check(CLI::Range(8, 65536));
  app.add_option("--segment-bytes", options.segment_bytes)->transform(CLI::AsSizeValue(false));
  app.add_option("--keep-bytes", options.keep_bytes, "retention; 0 keeps everything")
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("!--no-populate", options.populate, "no helper thread takes the page faults");
  app.add_flag("!--no-huge-pages", options.huge_pages, "ordinary pages");
  app.add_flag("--durable", options.durable, "stop the clock when everything is on disk");
  CLI11_PARSE(app, argc, argv);
  if (mode == "memcpy") run_memcpy(options);
  if (mode == "writer") run_writer(options);
  if (mode == "appender") run_appender(options);
  if (mode == "disk") run_disk(options);
  return 0;
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  try {
    return fastlogd::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "append_tool: {}\n", error.what());
    return 1;
  }
}
