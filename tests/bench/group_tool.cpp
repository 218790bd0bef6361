// Acknowledgements a second when every record waits for the disk: N clients, each with one record in flight that sends
// the next when that one is durable.
//
//   loop     one thread, pwrite(2) of a frame's bytes into an allocated file and fdatasync(2), over and over: what the
//            disk gives one client that waits
//   store    a stream's store in this process, durability group; the clients are one thread, as an io thread's are
//   native   a running fastlogd over its Unix socket, the native protocol, `synced` wanted
//   redis    a running redis-server over its Unix socket, XADD
//
// Prints one JSON object; latencies are from the send of a record until its acknowledgement.

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include <CLI/CLI.hpp>

#include "base/file_system.hpp"
#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/sockets.hpp"
#include "bench/store_under_test.hpp"
#include "segment/format.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::bench {
namespace {

constexpr std::size_t kRecordBytes = 128;
constexpr std::size_t kFrameBytes = segment::padded(segment::kFrameHeaderBytes + kRecordBytes);
constexpr std::size_t kSamplesMax = 4'000'000;

struct Options {
  std::string directory;
  std::string corpus;
  std::string socket;
  append::WriteBy write = append::WriteBy::pwrite;  // as the daemon does in this mode
  std::size_t clients = 1;
  double seconds = 5;
};

/// The clock of one run: a tenth of the time goes ahead and is not measured.
class Run {
 public:
  explicit Run(double seconds)
      : samples_(kSamplesMax),
        measure_from_ns_(monotonic_ns() + static_cast<std::int64_t>(seconds * 1e8)),
        end_ns_(measure_from_ns_ + static_cast<std::int64_t>(seconds * 1e9)) {}

  [[nodiscard]] bool over() const { return monotonic_ns() >= end_ns_; }
  void acknowledged(std::int64_t sent_ns) {
    const std::int64_t now_ns = monotonic_ns();
    if (now_ns < measure_from_ns_) {
      cpu_before_ = cpu_seconds();
      return;
    }
    if (now_ns >= end_ns_) return;
    samples_.add(static_cast<std::uint64_t>(now_ns - sent_ns));
    ++records_;
  }
  /// `more`: further members, with a comma in front.
  void print(std::size_t clients, const std::string& more = "") {
    fmt::print(R"({{"records": {}, "seconds": {:.6f}, "clients": {}, "call_ns": {}, {}{}}})"
               "\n",
               records_, static_cast<double>(end_ns_ - measure_from_ns_) * 1e-9, clients, samples_.json(),
               usage_json(cpu_before_), more);
  }

 private:
  Samples samples_;
  std::int64_t measure_from_ns_;
  std::int64_t end_ns_;
  std::uint64_t records_ = 0;
  double cpu_before_ = cpu_seconds();
};

void run_loop(const Options& options) {
  FileSystem& files = posix_file_system();
  constexpr std::uint64_t kFileBytes = 64 * limits::kMiB;
  const UniqueFd fd =
      files.open(options.directory + "/loop.bin", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600).value();
  files.allocate(fd.get(), 0, kFileBytes).value();
  files.sync_data(fd.get()).value();
  const std::vector<std::byte> frame(kFrameBytes, std::byte{0x41});
  Run run(options.seconds);
  for (std::uint64_t at = 0; !run.over(); at = (at + kFrameBytes) % (kFileBytes - kFrameBytes)) {
    const std::int64_t sent_ns = monotonic_ns();
    files.write_at(fd.get(), frame, at).value();
    files.sync_data(fd.get()).value();
    run.acknowledged(sent_ns);
  }
  run.print(1);
}

void run_store(const Options& options) {
  const FixedRecords source(options.corpus, kRecordBytes, 0);
  append::StreamOptions stream;
  stream.directory = options.directory + "/log";
  stream.durability = {.mode = append::DurabilityMode::group};
  stream.retention = {.bytes_max = 0, .keep_free = 0};
  stream.write = options.write;
  StoreUnderTest under_test(stream);
  append::StreamStore& store = under_test.store();
  ring::WakeSignal& acks = under_test.acks();
  struct Waiting {
    std::uint64_t end;  ///< position of its entry's end in the ring
    std::int64_t sent_ns;
  };
  std::deque<Waiting> waiting;
  std::deque<RingPoint> points;  // published and not known to be durable
  std::uint64_t durable = 0;     // position in the ring
  const auto look = [&] {
    const RingPoint point = under_test.progress().point();
    if (points.empty() || points.back().log_position < point.log_position) points.push_back(point);
    for (; !points.empty() && points.front().log_position <= store.durable(); points.pop_front()) {
      durable = points.front().ring_position;
    }
    return durable;
  };
  std::uint64_t sent = 0;
  std::size_t idle = options.clients;
  Run run(options.seconds);
  while (!run.over()) {
    for (; idle > 0; --idle) {
      const std::int64_t sent_ns = monotonic_ns();
      under_test.send(source.record(++sent % source.count()).data(), kRecordBytes, 1);
      waiting.push_back({under_test.ring_position(), sent_ns});
      look();
    }
    acks.arm();
    if (look() < waiting.front().end) acks.wait(std::chrono::milliseconds(100));
    acks.disarm();
    for (look(); !waiting.empty() && waiting.front().end <= durable; waiting.pop_front(), ++idle) {
      run.acknowledged(waiting.front().sent_ns);
    }
  }
  const append::AppendCounters& counters = store.counters();
  run.print(options.clients,
            fmt::format(R"(, "stored": {}, "syncs": {}, "sync_seconds": {:.6f})", under_test.stored(),
                        counters.syncs.value(),
                        static_cast<double>(counters.sync_duration.sum_nanos.value()) * 1e-9));
  under_test.stop();
}

/// One connection with one request in flight.
struct Client {
  UniqueFd fd;
  std::string in;
  std::uint64_t number = 0;
  std::int64_t sent_ns = 0;
};

void send_all(const UniqueFd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// What differs between the protocols. `answered`: takes complete answers off client.in, true when the request in
/// flight has been acknowledged.
struct Protocol {
  std::function<void(Client&)> greet;
  std::function<std::string(Client&, std::string_view record)> request;
  std::function<bool(Client&)> answered;
};

void receive(Client& client) {
  std::array<char, 16384> bytes;
  const ssize_t n = ::recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (n < 0 && errno == EINTR) return;
  if (n < 0) throw_errno("recv");
  if (n == 0) throw std::runtime_error("the server has closed the connection");
  client.in.append(bytes.data(), static_cast<std::size_t>(n));
}

void run_clients(const Options& options, const Protocol& protocol) {
  const FixedRecords source(options.corpus, kRecordBytes, 0);
  std::vector<Client> clients(options.clients);
  std::vector<pollfd> polled;
  for (Client& client : clients) {
    client.fd = connect_to({.path = options.socket});
    protocol.greet(client);
    polled.push_back({.fd = client.fd.get(), .events = POLLIN, .revents = 0});
  }
  std::uint64_t sent = 0;
  const auto next = [&](Client& client) {
    ++client.number;
    const std::string request = protocol.request(client, source.record(++sent % source.count()));
    client.sent_ns = monotonic_ns();
    send_all(client.fd, request);
  };
  Run run(options.seconds);
  for (Client& client : clients) next(client);
  while (!run.over()) {
    if (::poll(polled.data(), polled.size(), 1000) < 0 && errno != EINTR) throw_errno("poll");
    for (std::size_t i = 0; i < clients.size(); ++i) {
      if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      receive(clients[i]);
      if (!protocol.answered(clients[i])) continue;
      run.acknowledged(clients[i].sent_ns);
      next(clients[i]);
    }
  }
  run.print(options.clients);
}

/// The next message of the daemon; throws if it is none that this tool expects.
std::optional<wire::NativeReply> take_reply(Client& client) {
  wire::NativeReply reply;
  std::size_t consumed = 0;
  switch (wire::read_reply(client.in, reply, consumed)) {
    case wire::ReplyStatus::more:
      return std::nullopt;
    case wire::ReplyStatus::message:
      break;
    case wire::ReplyStatus::broken:
      throw std::runtime_error("that is no answer of fastlogd");
  }
  if (reply.type == wire::NativeType::error || reply.type == wire::NativeType::refused)
    throw std::runtime_error(fmt::format("refused: {}", reply.text));
  client.in.erase(0, consumed);
  reply.text = {};
  return reply;
}

Protocol native() {
  return {.greet =
              [](Client& client) {
                std::string hello;
                wire::append_hello(hello, 1, "group_tool", "localhost");
                send_all(client.fd, hello);
                while (!take_reply(client)) receive(client);
              },
          .request =
              [](Client& client, std::string_view record) {
                std::string out;
                wire::NativeBatch batch(out, client.number, wire::Wanted::synced);
                batch.add({.text = record});
                batch.finish();
                return out;
              },
          .answered =
              [](Client& client) {
                bool synced = false;
                while (const auto reply = take_reply(client)) {
                  synced = synced || (reply->type == wire::NativeType::ack && reply->synced >= client.number);
                }
                return synced;
              }};
}

Protocol redis() {
  return {.greet = [](Client&) {},
          .request =
              [](Client&, std::string_view record) {
                return fmt::format("*5\r\n$4\r\nXADD\r\n$3\r\nlog\r\n$1\r\n*\r\n$1\r\nm\r\n${}\r\n{}\r\n",
                                   record.size(), record);
              },
          .answered =
              [](Client& client) {
                // A bulk string with the entry's id: "$15\r\n1732540000000-0\r\n".
                if (!client.in.starts_with('$')) throw std::runtime_error("redis: " + client.in);
                const std::size_t line = client.in.find("\r\n");
                if (line == std::string::npos) return false;
                const std::size_t whole = line + 2 + std::stoul(client.in.substr(1)) + 2;
                if (client.in.size() < whole) return false;
                client.in.erase(0, whole);
                return true;
              }};
}

int main_of(int argc, char** argv) {
  CLI::App app{"Acknowledgements a second when every record waits for the disk"};
  Options options;
  std::string mode;
  app.add_option("mode", mode, "loop, store, native or redis")
      ->required()
      ->check(CLI::IsMember({"loop", "store", "native", "redis"}));
  app.add_option("--directory", options.directory, "an empty directory on the file system to measure")
      ->required();
  app.add_option("--corpus", options.corpus, "file whose lines make the records")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--socket", options.socket, "native and redis: the server's Unix socket");
  app.add_option("--write", options.write, "store: how frames are written")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, append::WriteBy>{{"mapping", append::WriteBy::mapping},
                                                 {"small-pages", append::WriteBy::small_pages},
                                                 {"pwrite", append::WriteBy::pwrite}}));
  app.add_option("--clients", options.clients, "records in flight")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds, "how long it is measured")->check(CLI::Range(0.1, 600.0));
  CLI11_PARSE(app, argc, argv);
  if (mode == "loop") run_loop(options);
  if (mode == "store") run_store(options);
  if (mode == "native") run_clients(options, native());
  if (mode == "redis") run_clients(options, redis());
  return 0;
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  try {
    return fastlogd::bench::main_of(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "group_tool: {}\n", error.what());
    return 1;
  }
}
