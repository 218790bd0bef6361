// Receives and discards: what the kernel's sockets allow, the known peer of every socket measurement. Streams are read
// with recv(2) into a buffer of the daemon's size, datagrams by recvmmsg(2) in the daemon's batches, without
// credentials. Counts into a file that await_tool watches. Runs until killed.

#include <sys/uio.h>

#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/limits.hpp"
#include "bench/counter_file.hpp"
#include "bench/sockets.hpp"

namespace fastlogd::bench {
namespace {

void discard_streams(int listener, Received& received) {
  std::vector<char> buffer(limits::kReadBytes);
  for (;;) {
    const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) throw_errno("accept");
    for (;;) {
      const ssize_t n = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno("recv");
      if (n == 0) break;
      received.bytes.fetch_add(static_cast<std::uint64_t>(n), std::memory_order_release);
    }
  }
}

void discard_datagrams(int socket, Received& received) {
  std::vector<char> buffer(limits::kDatagramBatch * limits::kRecordBytesDefault);
  std::vector<iovec> pieces(limits::kDatagramBatch);
  std::vector<mmsghdr> slots(limits::kDatagramBatch);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    pieces[i] = {.iov_base = buffer.data() + i * limits::kRecordBytesDefault,
                 .iov_len = limits::kRecordBytesDefault};
    slots[i].msg_hdr.msg_iov = &pieces[i];
    slots[i].msg_hdr.msg_iovlen = 1;
  }
  for (;;) {
    const int n =
        ::recvmmsg(socket, slots.data(), static_cast<unsigned>(slots.size()), MSG_WAITFORONE, nullptr);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("recvmmsg");
    std::uint64_t bytes = 0;
    for (int i = 0; i < n; ++i) bytes += slots[static_cast<std::size_t>(i)].msg_len;
    received.bytes.fetch_add(bytes, std::memory_order_release);
    received.messages.fetch_add(static_cast<std::uint64_t>(n), std::memory_order_release);
  }
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  namespace bench = fastlogd::bench;
  CLI::App app{"Receives and discards"};
  std::string at;
  std::string counter_path;
  app.add_option("--at", at, "unix-stream:PATH, unix-datagram:PATH, tcp:PORT, udp:PORT")->required();
  app.add_option("--counter", counter_path, "file to count into")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    const bench::Endpoint endpoint = bench::parse_endpoint(at);
    const bench::CounterFile counter(counter_path);
    const fastlogd::UniqueFd socket = bench::bind_to(endpoint);
    if (endpoint.datagram()) {
      bench::discard_datagrams(socket.get(), *counter);
    } else {
      bench::discard_streams(socket.get(), *counter);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "discard_tool: {}\n", error.what());
    return 1;
  }
}
