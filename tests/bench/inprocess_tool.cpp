// What a program's own thread pays to log 128-byte messages, and how fast they reach a file:
//
//   fastlog  libfastlog, through shared memory to a running daemon (--socket)
//   ring     one ring entry per message, taken by the stream's own threads of this process into segments (no sync)
//   spdlog   its asynchronous logger into a file: queue of 8192, blocking when full, pattern "%v"
//   quill    the same with a bounded queue of 1 MiB that blocks when full, and a backend that never sleeps, if the build
//            found the library
//   write    one write(2) per message into a file opened with O_APPEND
//
// As fast as it goes every eighth call is timed; with --rate every call, in bursts that begin when they are due. The clock
// stops when the last message is readable in the log or in the file.

#include <fcntl.h>

#include <filesystem>
#include <map>

#include <CLI/CLI.hpp>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/store_under_test.hpp"
#include "fastlog/fastlog.h"

#ifdef FASTLOGD_BENCH_QUILL
#include <quill/Backend.h>
#include <quill/Frontend.h>
#include <quill/LogMacros.h>
#include <quill/Logger.h>
#include <quill/sinks/FileSink.h>
#endif

namespace fastlogd::bench {
namespace {

constexpr std::size_t kSampleEvery = 8;

struct Options {
  std::string directory;
  std::string corpus;
  std::uint64_t messages = 4'000'000;
  std::uint64_t warm_up = 200'000;
  std::size_t record_bytes = 128;
  std::string socket;
  double rate = 0;  ///< calls per second; 0 is flat out
  std::uint64_t burst = 1000;
};

/// Keeps to a rate, a burst at a time: a burst that comes late is followed by the next at once.
class Pace {
 public:
  explicit Pace(const Options& options) : options_(options) {}

  void before(std::uint64_t message) {
    if (options_.rate <= 0 || message % options_.burst != 0) return;
    const auto due =
        started_ns_ + static_cast<std::int64_t>(static_cast<double>(message) / options_.rate * 1e9);
    for (std::int64_t left = due - monotonic_ns(); left > 0; left = due - monotonic_ns()) {
      if (left > 200'000) std::this_thread::sleep_for(std::chrono::nanoseconds(left - 100'000));
    }
  }
  [[nodiscard]] std::int64_t started_ns() const { return started_ns_; }

 private:
  const Options& options_;
  std::int64_t started_ns_ = monotonic_ns();
};

/// Calls `log(record)` for the warm-up and the measured messages, then `finish()`, and prints the result.
template <class Log, class Finish>
void measure(const Options& options, Log log, Finish finish) {
  const FixedRecords source(options.corpus, options.record_bytes, 0);
  const TickClock clock;
  const std::uint64_t sample_every = options.rate > 0 ? 1 : kSampleEvery;
  Samples calls(options.messages / sample_every + 1);
  std::size_t from = 0;
  const auto next = [&] {
    from = from + 1 == source.count() ? 0 : from + 1;
    return source.record(from);
  };
  for (std::uint64_t i = 0; i < options.warm_up; ++i) log(next());
  warm_memory(2 * options.messages * options.record_bytes);
  const double cpu_before = cpu_seconds();
  Pace pace(options);
  for (std::uint64_t i = 0; i < options.messages; ++i) {
    pace.before(i);
    const std::string_view record = next();
    if (i % sample_every != 0) {
      log(record);
      continue;
    }
    const std::uint64_t before = TickClock::now();
    log(record);
    calls.add(TickClock::now() - before);
  }
  finish(options.warm_up + options.messages);
  fmt::print(R"({{"records": {}, "seconds": {:.6f}, "record_bytes": {}, "call_ns": {}, {}}})"
             "\n",
             options.messages, seconds_since(pace.started_ns()), options.record_bytes,
             calls.json(clock.nanos_per_tick()), usage_json(cpu_before));
}

void run_ring(const Options& options) {
  append::StreamOptions stream;
  stream.directory = options.directory + "/log";
  stream.durability = {.mode = append::DurabilityMode::none};
  stream.retention = {.bytes_max = 0, .keep_free = 0};
  StoreUnderTest under_test(std::move(stream));
  measure(
      options, [&](std::string_view record) { under_test.send(record.data(), record.size(), 1); },
      [&](std::uint64_t all) { under_test.wait_until_stored(all); });
  under_test.stop();
}

void run_fastlog(const Options& options) {
  fastlog_options wanted = FASTLOG_OPTIONS_INIT;
  wanted.socket = options.socket.c_str();
  wanted.ring_bytes = 4 * limits::kMiB;
  fastlog_log* log = nullptr;
  if (fastlog_open(&wanted, &log) != FASTLOG_OK) throw std::runtime_error(fastlog_error(nullptr));
  measure(
      options,
      [&](std::string_view record) {
        if (fastlog_write(log, FASTLOG_INFO, record.data(), record.size()) != FASTLOG_OK) {
          throw std::runtime_error(fastlog_error(log));
        }
      },
      [&](std::uint64_t) {
        if (fastlog_flush(log, FASTLOG_STORED, -1) != FASTLOG_OK)
          throw std::runtime_error(fastlog_error(log));
      });
  fastlog_counts counts{};
  fastlog_get_counts(log, &counts);
  fastlog_close(log);
  if (counts.shared != 1) throw std::runtime_error("the daemon gave no shared memory");
}

void run_spdlog(const Options& options) {
  spdlog::init_thread_pool(8192, 1);
  const auto logger =
      spdlog::create_async<spdlog::sinks::basic_file_sink_mt>("bench", options.directory + "/spdlog.log");
  logger->set_pattern("%v");
  measure(
      options,
      [&](std::string_view record) {
        logger->log(spdlog::level::info, spdlog::string_view_t(record.data(), record.size()));
      },
      [&](std::uint64_t all) {
        logger->flush();
        const std::uint64_t bytes = all * (options.record_bytes + 1);
        while (std::filesystem::file_size(options.directory + "/spdlog.log") < bytes) {
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      });
  spdlog::shutdown();
}

void run_write(const Options& options) {
  const std::string path = options.directory + "/write.log";
  const UniqueFd fd = posix_file_system().open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600).value();
  measure(
      options,
      [&](std::string_view record) {
        if (::write(fd.get(), record.data(), record.size()) != static_cast<ssize_t>(record.size())) {
          throw std::runtime_error(errno_error("write").message());
        }
      },
      [](std::uint64_t) {});
}

#ifdef FASTLOGD_BENCH_QUILL
struct BoundedQueue : quill::FrontendOptions {
  static constexpr quill::QueueType queue_type = quill::QueueType::BoundedBlocking;
  static constexpr std::size_t initial_queue_capacity = 1 << 20;
};

void run_quill(const Options& options) {
  using Frontend = quill::FrontendImpl<BoundedQueue>;
  quill::BackendOptions busy;
  busy.sleep_duration = std::chrono::nanoseconds(0);
  quill::Backend::start(busy);
  auto sink = Frontend::create_or_get_sink<quill::FileSink>(options.directory + "/quill.log");
  auto* const logger =
      Frontend::create_or_get_logger("bench", std::move(sink), quill::PatternFormatterOptions("%(message)"));
  measure(
      options, [&](std::string_view record) { LOG_INFO(logger, "{}", record); },
      [&](std::uint64_t) { logger->flush_log(); });
}
#endif

int run(int argc, char** argv) {
  CLI::App app{"128-byte messages from one thread: libfastlog, ring and appender, spdlog, quill, write"};
  Options options;
  std::string mode;
  std::map<std::string, void (*)(const Options&)> modes{
      {"fastlog", run_fastlog}, {"ring", run_ring}, {"spdlog", run_spdlog}, {"write", run_write}};
#ifdef FASTLOGD_BENCH_QUILL
  modes.emplace("quill", run_quill);
#endif
  app.add_option("mode", mode, "what to measure")->required()->check(CLI::IsMember(modes));
  app.add_option("--directory", options.directory, "an empty directory")->required();
  app.add_option("--corpus", options.corpus, "file whose lines make the messages")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--messages", options.messages, "how many are measured");
  app.add_option("--warm-up", options.warm_up, "how many are logged before");
  app.add_option("--record-bytes", options.record_bytes)->check(CLI::Range(8, 65536));
  app.add_option("--socket", options.socket, "fastlog: the daemon's unix-stream listener");
  app.add_option("--rate", options.rate, "calls per second; flat out if left out");
  app.add_option("--burst", options.burst, "with --rate: so many at once")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  modes.at(mode)(options);
  return 0;
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  try {
    return fastlogd::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "inprocess_tool: {}\n", error.what());
    return 1;
  }
}
