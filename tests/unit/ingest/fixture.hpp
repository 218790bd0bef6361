// A running FrontEnd with one listener of each transport in a temporary folder, and clients for them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "collector.hpp"
#include "ingest/front_end.hpp"

namespace fastlogd::ingest {

class FrontEndTest : public testing::Test {
 protected:
  FrontEndTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fastlogd-ingest-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FrontEndTest() override {
    if (front_end_) front_end_->stop(std::chrono::seconds(5));
    collector_.reset();
    front_end_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::vector<ListenerOptions> standard_listeners() const {
    return {
        {.name = "app", .transport = ListenerTransport::unix_stream, .path = path("app"), .mode = 0666},
        {.name = "devlog", .transport = ListenerTransport::unix_datagram, .path = path("log"), .mode = 0666},
        {.name = "tcp", .transport = ListenerTransport::tcp, .address = "127.0.0.1"},
        {.name = "udp", .transport = ListenerTransport::udp, .address = "127.0.0.1"}};
  }

  /// Creates, prepares, commits, starts.
  void run(std::vector<ListenerOptions> listeners, IoOptions io = {}, LimitOptions limits = {}) {
    auto created = FrontEnd::create(io, limits, {"main"});
    ASSERT_TRUE(created) << created.error().message();
    front_end_ = std::move(*created);
    collector_ = std::make_unique<Collector>(*front_end_, "main");
    front_end_->set_known_numbers("main", known_);
    reload(std::move(listeners));
    front_end_->start();
  }
  void run() { run(standard_listeners()); }

  void reload(std::vector<ListenerOptions> listeners) {
    auto prepared = front_end_->prepare(listeners);
    ASSERT_TRUE(prepared) << prepared.error().message();
    front_end_->commit(std::move(*prepared));
  }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  [[nodiscard]] std::uint16_t port(const std::string& listener) const {
    for (const BoundAddress& one : front_end_->bound_addresses()) {
      if (one.listener == listener) return one.port;
    }
    return 0;
  }

  static UniqueFd connect_unix(const std::string& to, int type) {
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, to.c_str(), sizeof address.sun_path - 1);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
  }
  static UniqueFd connect_ip(std::uint16_t port, int type) {
    UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
  }
  [[nodiscard]] UniqueFd stream() const { return connect_unix(path("app"), SOCK_STREAM); }
  [[nodiscard]] UniqueFd datagram() const { return connect_unix(path("log"), SOCK_DGRAM); }

  static bool send_all(const UniqueFd& fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Reads until the peer closes; true if it did within five seconds.
  static bool is_closed_by_peer(const UniqueFd& fd) {
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char byte = 0;
    const ssize_t n = ::recv(fd.get(), &byte, 1, 0);
    return n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE));
  }

  /// Sum of one counter over threads.
  template <class Get>
  std::uint64_t sum(const std::string& listener, Get get) const {
    std::uint64_t total = 0;
    front_end_->for_each_counters([&](const CountersEntry& entry) {
      if (entry.listener == listener) total += static_cast<std::uint64_t>(get(*entry.counters));
    });
    return total;
  }
  template <class Condition>
  static bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  std::string folder_;
  ClientNumbers known_;  ///< what a test's log holds already
  std::unique_ptr<FrontEnd> front_end_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace fastlogd::ingest
