// Sends a corpus file's lines, over and over, in batches: one write(2) per batch on streams, one sendmmsg(2) on
// datagrams. Flat out, or at a set rate from intended start times (a batch that comes late is not forgiven).
//
// One connection. With --warm-up it sends that many first, prints one JSON line that says what will come, waits for a
// line on standard input, and only then sends what is measured. The last line it prints is the result.

#include <sys/uio.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/sockets.hpp"

namespace fastlogd::bench {
namespace {

constexpr std::size_t kCallSamplesMax = 2'000'000;

struct Options {
  std::string to;
  std::string corpus;
  std::string header;  ///< in front of every line, e.g. "<13>"
  std::uint64_t messages = 100'000;
  std::uint64_t warm_up = 0;
  std::size_t batch = 64;
  double rate = 0;  ///< messages per second; 0 is flat out
};

class Sender {
 public:
  explicit Sender(const Options& options)
      : options_(options),
        endpoint_(parse_endpoint(options.to)),
        messages_(options.corpus, options.batch, options.header, endpoint_.datagram() ? "" : "\n"),
        calls_(std::min<std::size_t>(kCallSamplesMax, options.messages / options.batch + 2)),
        datagrams_(options.batch),
        pieces_(options.batch) {
    for (std::size_t i = 0; i < options.batch; ++i) {
      datagrams_[i].msg_hdr.msg_iov = &pieces_[i];
      datagrams_[i].msg_hdr.msg_iovlen = 1;
    }
    fd_ = connect_to(endpoint_);
    const int bytes = 4 << 20;  // the kernel gives what it allows
    (void)setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }

  void warm_up() {
    for (std::uint64_t sent = 0; sent < options_.warm_up;) sent += send_batch(options_.warm_up - sent, false);
    const std::uint64_t all = options_.warm_up + options_.messages;
    fmt::print(R"({{"warm_up_bytes": {}, "all_bytes": {}}})"
               "\n",
               messages_.bytes_of(options_.warm_up), messages_.bytes_of(all));
    await_line();
  }

  /// Until the receiver has been looked at: some end with their connection.
  static void await_line() {
    std::fflush(stdout);
    std::string line;
    std::getline(std::cin, line);
  }

  void measure() {
    const double cpu_before = cpu_seconds();
    const std::int64_t started_ns = monotonic_ns();
    for (std::uint64_t sent = 0; sent < options_.messages;) {
      if (options_.rate > 0) wait_for_turn(started_ns, sent);
      sent += send_batch(options_.messages - sent, true);
    }
    const std::int64_t ended_ns = monotonic_ns();
    fmt::print(
        R"({{"start_ns": {}, "end_ns": {}, "messages": {}, "bytes": {}, "latest_ns": {}, "call_ns": {}, {}}})"
        "\n",
        started_ns, ended_ns, options_.messages,
        messages_.bytes_of(options_.warm_up + options_.messages) - messages_.bytes_of(options_.warm_up),
        latest_ns_, calls_.json(), usage_json(cpu_before));
  }

 private:
  void wait_for_turn(std::int64_t started_ns, std::uint64_t sent) {
    const std::int64_t due_ns =
        started_ns + static_cast<std::int64_t>(static_cast<double>(sent) / options_.rate * 1e9);
    const timespec due{.tv_sec = due_ns / kNanosPerSecond, .tv_nsec = due_ns % kNanosPerSecond};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) != 0) continue;
    latest_ns_ = std::max(latest_ns_, monotonic_ns() - due_ns);
  }

  /// Sends the next batch, at most `left` messages; returns how many.
  std::uint64_t send_batch(std::uint64_t left, bool measured) {
    const std::size_t count =
        std::min({static_cast<std::size_t>(left), options_.batch, messages_.period() - next_});
    const std::int64_t before_ns = monotonic_ns();
    if (endpoint_.datagram()) {
      send_datagrams(count);
    } else {
      send_bytes(messages_.batch(next_, count));
    }
    if (measured) calls_.add(static_cast<std::uint64_t>(monotonic_ns() - before_ns));
    next_ = (next_ + count) % messages_.period();
    return count;
  }

  void send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno("send");
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  void send_datagrams(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view message = messages_.batch(next_ + i, 1);
      pieces_[i] = {.iov_base = const_cast<char*>(message.data()), .iov_len = message.size()};
    }
    for (std::size_t sent = 0; sent < count;) {
      const int n = ::sendmmsg(fd_.get(), datagrams_.data() + sent, static_cast<unsigned>(count - sent), 0);
      if (n < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
      if (n < 0) throw_errno("sendmmsg");
      sent += static_cast<std::size_t>(n);
    }
  }

  const Options& options_;
  Endpoint endpoint_;
  Messages messages_;
  Samples calls_;
  std::vector<mmsghdr> datagrams_;
  std::vector<iovec> pieces_;
  UniqueFd fd_;
  std::size_t next_ = 0;
  std::int64_t latest_ns_ = 0;
};

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  CLI::App app{"Sends a file's lines in batches, flat out or at a rate"};
  fastlogd::bench::Options options;
  app.add_option("--to", options.to, "unix-stream:PATH, unix-datagram:PATH, tcp:PORT, udp:PORT")->required();
  app.add_option("--corpus", options.corpus, "file whose lines are sent")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--header", options.header, "put in front of every line");
  app.add_option("--messages", options.messages, "how many are measured");
  app.add_option(
      "--warm-up", options.warm_up,
      "how many are sent before, over the same connection; then, and at the end, it waits for a line");
  app.add_option("--batch", options.batch, "messages per system call")->check(CLI::Range(1, 1024));
  app.add_option("--rate", options.rate, "messages per second; 0: flat out");
  CLI11_PARSE(app, argc, argv);
  try {
    fastlogd::bench::Sender sender(options);
    if (options.warm_up > 0) sender.warm_up();
    sender.measure();
    if (options.warm_up > 0) sender.await_line();
  } catch (const std::exception& error) {
    fmt::print(stderr, "sender_tool: {}\n", error.what());
    return 1;
  }
  return 0;
}
