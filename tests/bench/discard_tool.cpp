// Receives and discards: what the kernel's sockets allow, the known peer of every socket measurement. Streams are read
// with recv(2) into a buffer of the daemon's size, datagrams by recvmmsg(2) in the daemon's batches, without
// credentials. Counts into a file that await_tool watches. Runs until killed.
//
// With --write a stream's bytes go into a file as they came, by one write(2) for each recv(2): the simplest way
// to store them. It knows no records, and a torn file is nothing it could tell from a whole one.

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/limits.hpp"
#include "bench/counter_file.hpp"
#include "bench/sockets.hpp"

namespace fastlogd::bench {
namespace {

void write_all(int fd, const char* bytes, std::size_t left) {
  while (left > 0) {
    const ssize_t n = ::write(fd, bytes, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("write");
    bytes += n;
    left -= static_cast<std::size_t>(n);
  }
}

/// Into `file`, if it is one.
void discard_streams(int listener, int file, Received& received) {
  std::vector<char> buffer(limits::kReadBytes);
  for (;;) {
    const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) throw_errno("accept");
    for (;;) {
      const ssize_t n = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno("recv");
      if (n == 0) break;
      if (file >= 0) write_all(file, buffer.data(), static_cast<std::size_t>(n));
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
  std::string written_path;
  app.add_option("--at", at, "unix-stream:PATH, unix-datagram:PATH, tcp:PORT, udp:PORT")->required();
  app.add_option("--counter", counter_path, "file to count into")->required();
  app.add_option("--write", written_path, "file to write a stream's bytes to, instead of discarding them");
  CLI11_PARSE(app, argc, argv);
  try {
    const bench::Endpoint endpoint = bench::parse_endpoint(at);
    const bench::CounterFile counter(counter_path);
    const fastlogd::UniqueFd socket = bench::bind_to(endpoint);
    const fastlogd::UniqueFd file(
        written_path.empty() ? -1
                             : ::open(written_path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600));
    if (!written_path.empty() && !file) bench::throw_errno("open " + written_path);
    if (endpoint.datagram()) {
      bench::discard_datagrams(socket.get(), *counter);
    } else {
      bench::discard_streams(socket.get(), file.get(), *counter);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "discard_tool: {}\n", error.what());
    return 1;
  }
}
