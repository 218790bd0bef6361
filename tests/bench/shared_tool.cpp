// Logs through libfastlog into a running daemon and prints, as one line of JSON, how long the calls took and how long it
// was until everything was stored:
//
//     shared_tool --socket run/app.sock --records 4000000 --bytes 128              a burst, as fast as it goes
//     shared_tool --socket run/app.sock --records 200000 --rate 100000 --calls     percentiles of single calls
//     shared_tool --socket run/app.sock --records 200000 --rate 100000 --visible log/main     from call to visible
//
// With --visible the thread that calls looks into the mapped log itself, until its record is there.
// Percentiles hold the two looks at the clock around a call; `clock_ns` says what those cost alone.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "fastlog/fastlog.h"
#include "fastlog/fastlog_reader.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Wanted {
  std::string socket;
  std::uint64_t records = 1'000'000;
  std::size_t bytes = 128;
  std::uint64_t rate = 0;  ///< a second and thread; 0: as fast as it goes
  unsigned threads = 1;
  std::uint64_t ring_bytes = 4 << 20;
  bool calls = false;
  bool socket_only = false;
  std::string visible;  ///< the stream's directory
};

std::int64_t ns_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

/// Looks into the log of `directory` from its end on.
class Watcher {
 public:
  explicit Watcher(const std::string& directory) {
    if (directory.empty()) return;
    fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
    options.from = FASTLOG_FROM_END;
    if (fastlog_reader_open(directory.c_str(), &options, &reader_) != FASTLOG_OK) {
      throw std::runtime_error(fastlog_reader_error(nullptr));
    }
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { fastlog_reader_close(reader_); }

  explicit operator bool() const { return reader_ != nullptr; }
  /// Spins until one more record is there.
  void wait() {
    fastlog_record record;
    while (fastlog_reader_poll(reader_, &record, 1, 0) == 0) {
    }
  }

 private:
  fastlog_reader* reader_ = nullptr;
};

/// Returns the durations of the calls, if they are wanted; of the first thread with --visible until the record is seen.
std::vector<std::int64_t> produce(fastlog_log* log, const Wanted& wanted, Watcher& watcher) {
  const std::string text(wanted.bytes, 'm');
  const bool timed = wanted.calls || watcher;
  std::vector<std::int64_t> calls(timed ? wanted.records : 0, 1);
  const Clock::time_point start = Clock::now();
  for (std::uint64_t i = 0; i < wanted.records; ++i) {
    if (wanted.rate != 0) {
      const auto due = static_cast<std::int64_t>(i * (1'000'000'000 / wanted.rate));
      while (ns_since(start) < due) {
      }
    }
    if (!timed) {
      fastlog_write(log, FASTLOG_INFO, text.data(), text.size());
      continue;
    }
    const Clock::time_point before = Clock::now();
    fastlog_write(log, FASTLOG_INFO, text.data(), text.size());
    if (watcher) watcher.wait();
    calls[i] = ns_since(before);
  }
  return calls;
}

std::int64_t clock_ns() {
  std::vector<std::int64_t> looks(10'001);
  for (std::int64_t& look : looks) {
    const Clock::time_point before = Clock::now();
    look = ns_since(before);
  }
  std::nth_element(looks.begin(), looks.begin() + 5000, looks.end());
  return looks[5000];
}

void print(const Wanted& wanted, std::vector<std::int64_t> calls, std::int64_t called_ns,
           std::int64_t stored_ns, const fastlog_counts& counts) {
  std::sort(calls.begin(), calls.end());
  const auto percentile = [&](double part) {
    return calls.empty() ? 0 : calls[static_cast<std::size_t>(part * static_cast<double>(calls.size() - 1))];
  };
  const double bytes = static_cast<double>(wanted.records * wanted.threads * wanted.bytes);
  fmt::print(
      "{{\"records\": {}, \"bytes\": {}, \"threads\": {}, \"shared\": {}, \"dropped\": {}, \"called_s\": "
      "{:.6f}, "
      "\"stored_s\": {:.6f}, \"mb_per_s\": {:.1f}, \"call_p50_ns\": {}, \"call_p99_ns\": {}, "
      "\"call_p999_ns\": {}, \"call_p9999_ns\": {}, \"call_max_ns\": {}, \"clock_ns\": {}}}\n",
      wanted.records, wanted.bytes, wanted.threads, counts.shared, counts.dropped,
      static_cast<double>(called_ns) / 1e9, static_cast<double>(stored_ns) / 1e9,
      bytes / (static_cast<double>(stored_ns) / 1e3), percentile(0.5), percentile(0.99), percentile(0.999),
      percentile(0.9999), percentile(1), clock_ns());
}

int run(const Wanted& wanted) {
  fastlog_options options = FASTLOG_OPTIONS_INIT;
  options.socket = wanted.socket.empty() ? nullptr : wanted.socket.c_str();
  options.ring_bytes = wanted.ring_bytes;
  options.flags = wanted.socket_only ? FASTLOG_SOCKET_ONLY : 0;
  fastlog_log* log = nullptr;
  if (fastlog_open(&options, &log) != FASTLOG_OK) {
    fmt::print(stderr, "{}\n", fastlog_error(nullptr));
    return 1;
  }
  std::vector<std::int64_t> calls;
  Watcher watcher(wanted.visible);
  Watcher none("");
  const Clock::time_point start = Clock::now();
  std::vector<std::thread> others;
  for (unsigned i = 1; i < wanted.threads; ++i) others.emplace_back([&] { produce(log, wanted, none); });
  calls = produce(log, wanted, watcher);
  for (std::thread& other : others) other.join();
  const std::int64_t called_ns = ns_since(start);
  const int flushed = fastlog_flush(log, FASTLOG_STORED, -1);
  const std::int64_t stored_ns = ns_since(start);
  fastlog_counts counts{};
  fastlog_get_counts(log, &counts);
  fastlog_close(log);
  if (flushed != FASTLOG_OK) {
    fmt::print(stderr, "flush: {}\n", fastlog_result_text(flushed));
    return 1;
  }
  print(wanted, std::move(calls), called_ns, stored_ns, counts);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Wanted wanted;
  CLI::App app("logs through libfastlog and prints how long it took");
  app.add_option("--socket", wanted.socket, "the daemon's unix-stream listener");
  app.add_option("--records", wanted.records, "of each thread");
  app.add_option("--bytes", wanted.bytes, "of a message");
  app.add_option("--rate", wanted.rate, "records a second and thread; 0: as fast as it goes");
  app.add_option("--threads", wanted.threads);
  app.add_option("--ring-bytes", wanted.ring_bytes, "memory wanted for each thread");
  app.add_flag("--calls", wanted.calls, "percentiles of single calls, of the first thread");
  app.add_option("--visible", wanted.visible, "the stream's directory: from call to visible");
  app.add_flag("--socket-only", wanted.socket_only, "without shared memory");
  CLI11_PARSE(app, argc, argv);
  return run(wanted);
}
