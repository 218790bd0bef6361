// What it costs to open a large stream and to jump in it. Makes a sealed stream that is mostly holes (`--mode make`, also
// for tests), or makes one, measures, and prints a JSON object.
//
//   recover   what a start does with the sealed segments of a log
//   stat      the yardstick: open every file, read its first and its last page, nothing else
//   since     open the log as fastlogctl does, jump to a random time, read one record; sequence: likewise by number
//   walk      the same without a jump: read on from the start of the segment that holds the record
//
// --cold drops the files' pages from the page cache before each call (posix_fadvise), --no-index leaves INDEX out.

#include <fcntl.h>
#include <unistd.h>

#include <random>

#include <CLI/CLI.hpp>

#include "bench/measure.hpp"
#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "support/sparse_log.hpp"

namespace fastlogd::bench {
namespace {

struct Options {
  std::string mode;
  std::string directory;
  std::string corpus;  // every tool of the harness is given one; nothing is read from it
  std::uint64_t calls = 200;
  std::uint64_t segment_mib = 256;
  bool cold = false;
  bool no_index = false;
  test::SparseShape shape;
};

std::vector<std::string> files_of(const std::string& directory) {
  std::vector<std::string> paths;
  for (const std::uint64_t index : segment::list_segments(posix_file_system(), directory).value())
    paths.push_back(segment::segment_path(directory, index));
  return paths;
}

void forget(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    FASTLOGD_CHECK(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
  }
}

void look_at_all(const std::vector<std::string>& paths, std::uint64_t segment_bytes) {
  segment::Page page{};
  for (const std::string& path : paths) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    FASTLOGD_CHECK(posix_file_system().read_at(fd.get(), page, 0).has_value());
    FASTLOGD_CHECK(
        posix_file_system().read_at(fd.get(), page, segment_bytes - segment::kTrailerBytes).has_value());
  }
}

void check_found(const segment::LogItem& item, segment::ReadStatus status, std::uint64_t sequence) {
  if (status == segment::ReadStatus::item && item.record.sequence.value == sequence) return;
  throw std::runtime_error(fmt::format("record {} was not found", sequence));
}

void jump(const Options& options, std::uint64_t sequence) {
  auto reader = segment::LogReader::open(options.directory, segment::Access::mapped).value();
  segment::LogItem item;
  if (options.mode == "walk") {
    const std::uint64_t per_segment = options.shape.records() / options.shape.segments;
    FASTLOGD_CHECK(
        reader.seek(LogPosition::of((sequence - 1) / per_segment + 1, segment::kHeaderBytes)).has_value());
    while (reader.next(item) == segment::ReadStatus::item && item.record.sequence.value < sequence) continue;
    return check_found(item, segment::ReadStatus::item, sequence);
  }
  const auto done = options.mode == "since" ? reader.seek_time(options.shape.time_of(sequence))
                                            : reader.seek_sequence(Sequence{sequence});
  FASTLOGD_CHECK(done.has_value());
  check_found(item, reader.next(item), sequence);
}

void call_once(const Options& options, const std::vector<std::string>& paths, std::uint64_t sequence) {
  if (options.mode == "stat") return look_at_all(paths, options.shape.segment_bytes);
  if (options.mode == "recover") {
    const auto report = segment::recover(posix_file_system(), options.directory, std::nullopt);
    FASTLOGD_CHECK(report.has_value() && report->next_sequence == options.shape.records() + 1);
    return;
  }
  jump(options, sequence);
}

int run(const Options& options) {
  test::SparseLog(options.directory, options.shape).write();
  if (options.mode == "make") return 0;
  const auto paths = files_of(options.directory);
  ::sync();  // only clean pages can be dropped
  std::mt19937_64 random(1);
  Samples samples(options.calls);
  double measured = 0;
  const double cpu = cpu_seconds();
  for (std::uint64_t n = 0; n < options.calls; ++n) {
    if (options.cold) forget(paths);
    const std::uint64_t sequence = 1 + random() % options.shape.records();
    const std::int64_t started_ns = monotonic_ns();
    call_once(options, paths, sequence);
    measured += seconds_since(started_ns);
    samples.add(static_cast<std::uint64_t>(monotonic_ns() - started_ns));
  }
  fmt::print("{{\"records\": {}, \"seconds\": {:.6f}, {}, \"call_ns\": {}}}\n", options.calls, measured,
             usage_json(cpu), samples.json());
  return 0;
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  fastlogd::bench::Options options;
  CLI::App app("Opens a large sealed stream, or jumps in one");
  app.add_option("mode", options.mode)
      ->required()
      ->check(CLI::IsMember({"make", "recover", "stat", "since", "sequence", "walk"}));
  app.add_option("--directory", options.directory, "where the stream is made; must be empty")->required();
  app.add_option("--corpus", options.corpus);
  app.add_option("--calls", options.calls);
  app.add_option("--segments", options.shape.segments);
  app.add_option("--segment-mib", options.segment_mib);
  app.add_option("--records-per-block", options.shape.records_per_block);
  app.add_flag("--cold", options.cold);
  app.add_flag("--no-index", options.no_index);
  CLI11_PARSE(app, argc, argv);
  options.shape.segment_bytes = options.segment_mib * fastlogd::limits::kMiB;
  options.shape.with_index = !options.no_index;
  try {
    return fastlogd::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
