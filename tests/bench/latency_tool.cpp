// How long a record takes from its intended send to a reader's hands. One thread sends at a set rate; every record
// carries the time at which it was due (CLOCK_MONOTONIC), so a late sender or a full socket is not forgiven. Another
// thread follows the stream's directory as `fastlogctl tail -f` does: a mapped LogReader that sleeps when it has caught
// up.

#include <sys/uio.h>

#include <atomic>
#include <charconv>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>

#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/sockets.hpp"
#include "segment/log_reader.hpp"

namespace fastlogd::bench {
namespace {

constexpr std::string_view kMark = "due=";
constexpr std::size_t kDigits = 19;

struct Options {
  std::string to;
  std::string directory;
  std::string corpus;
  std::uint64_t messages = 100'000;
  std::uint64_t warm_up = 10'000;
  double rate = 10'000;
  std::string header;
};

/// Sends all records, each in a system call of its own, at its time.
void send_all(const Options& options, const UniqueFd& fd, bool datagram) {
  const auto lines = read_lines(options.corpus);
  const std::uint64_t all = options.warm_up + options.messages;
  const std::int64_t started_ns = monotonic_ns() + kNanosPerMilli;
  std::string record;
  for (std::uint64_t i = 0; i < all; ++i) {
    const std::int64_t due_ns =
        started_ns + static_cast<std::int64_t>(static_cast<double>(i) / options.rate * 1e9);
    if (monotonic_ns() < due_ns) {
      const timespec due{.tv_sec = due_ns / kNanosPerSecond, .tv_nsec = due_ns % kNanosPerSecond};
      while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) != 0) continue;
    }
    record.assign(options.header);
    fmt::format_to(std::back_inserter(record), "{}{:019} ", kMark, due_ns);
    record.append(lines[i % lines.size()]);
    if (!datagram) record.push_back('\n');
    std::string_view left = record;
    while (!left.empty()) {
      const ssize_t n = ::send(fd.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno("send");
      left.remove_prefix(static_cast<std::size_t>(n));
    }
  }
}

std::optional<std::int64_t> due_of(std::string_view message) {
  const std::size_t at = message.find(kMark);
  if (at == std::string_view::npos || message.size() < at + kMark.size() + kDigits) return std::nullopt;
  std::int64_t due_ns = 0;
  const char* digits = message.data() + at + kMark.size();
  std::from_chars(digits, digits + kDigits, due_ns);
  return due_ns;
}

/// Follows until all have been read; latencies of what comes behind the warm-up go into `samples`.
void follow(const Options& options, segment::LogReader& reader, Samples& samples) {
  const std::uint64_t all = options.warm_up + options.messages;
  segment::LogItem item;
  std::int64_t last_ns = monotonic_ns();
  for (std::uint64_t seen = 0; seen < all;) {
    const auto status = reader.next(item);
    if (status == segment::ReadStatus::failed) throw std::runtime_error(reader.error().message());
    if (status == segment::ReadStatus::caught_up) {
      if (seconds_since(last_ns) > 30) throw std::runtime_error(fmt::format("{} of {} came", seen, all));
      reader.wait(std::chrono::milliseconds(100));
      continue;
    }
    if (item.kind != segment::LogItem::Kind::record) continue;
    const auto due_ns = due_of(item.record.message());
    if (!due_ns) continue;
    last_ns = monotonic_ns();
    if (seen++ >= options.warm_up)
      samples.add(static_cast<std::uint64_t>(std::max<std::int64_t>(last_ns - *due_ns, 0)));
  }
}

void measure(const Options& options) {
  const Endpoint endpoint = parse_endpoint(options.to);
  auto reader = segment::LogReader::open(options.directory, segment::Access::mapped).value();
  reader.seek_end();
  const UniqueFd fd = connect_to(endpoint);
  Samples samples(options.messages);
  const double cpu_before = cpu_seconds();
  std::exception_ptr failure;
  std::thread sender([&] {
    try {
      send_all(options, fd, endpoint.datagram());
    } catch (...) {
      failure = std::current_exception();
    }
  });
  try {
    follow(options, reader, samples);
  } catch (...) {
    sender.join();
    if (failure) std::rethrow_exception(failure);
    throw;
  }
  sender.join();
  fmt::print(R"({{"messages": {}, "rate": {}, "latency_ns": {}, {}}})"
             "\n",
             options.messages, options.rate, samples.json(), usage_json(cpu_before));
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  CLI::App app{"Latency from send to readable, at a set rate"};
  fastlogd::bench::Options options;
  app.add_option("--to", options.to, "unix-stream:PATH, unix-datagram:PATH, tcp:PORT, udp:PORT")->required();
  app.add_option("--log", options.directory, "the stream's directory")->required();
  app.add_option("--corpus", options.corpus, "file whose lines are sent")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--messages", options.messages, "how many are measured");
  app.add_option("--warm-up", options.warm_up, "how many are sent before");
  app.add_option("--rate", options.rate, "messages per second");
  app.add_option("--header", options.header, "put in front of every line");
  CLI11_PARSE(app, argc, argv);
  try {
    fastlogd::bench::measure(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "latency_tool: {}\n", error.what());
    return 1;
  }
  return 0;
}
