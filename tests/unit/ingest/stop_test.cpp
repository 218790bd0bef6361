// What becomes of what has been sent when the front end stops.
#include <sys/socket.h>

#include <filesystem>

#include <gmock/gmock.h>

#include "fixture.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::ingest {
namespace {

using Stop = FrontEndTest;

TEST_F(Stop, StoresWhatHadBeenSentWhenItStops) {
  run(standard_listeners(), IoOptions{.threads = 2});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(i % 2 == 0 ? stream() : connect_ip(port("tcp"), SOCK_STREAM));
    ASSERT_TRUE(send_all(clients.back(), std::string(2000, '\n') + "unfinished"));
  }
  const UniqueFd udp = connect_ip(port("udp"), SOCK_DGRAM);
  const UniqueFd unix_datagrams = datagram();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(send_all(udp, "udp"));
    ASSERT_TRUE(send_all(unix_datagrams, "unix"));
  }
  EXPECT_TRUE(front_end_->stop(std::chrono::seconds(10)));
  collector_->finish();
  EXPECT_EQ(collector_->count(), 20U * 2001U + 10U);
  EXPECT_FALSE(std::filesystem::exists(path("app")));
  EXPECT_FALSE(std::filesystem::exists(path("log")));
  EXPECT_EQ(front_end_->open_connections(), 0U);
}

TEST_F(Stop, TakesAnEmptyUdpDatagramForNoEndOfTheQueue) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  const UniqueFd client = connect_ip(port("udp"), SOCK_DGRAM);
  const auto pauses = [&] { return sum("udp", [](const auto& c) { return c.backpressure_pauses.value(); }); };
  std::uint64_t sent = 0;
  for (; pauses() == 0 && sent < 2000; ++sent) {
    ASSERT_TRUE(send_all(client, std::string(8000, 'd')));
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // the kernel's queue is not to run over
  }
  ASSERT_GT(pauses(), 0U);
  ASSERT_EQ(::send(client.get(), nullptr, 0, 0), 0);
  for (int i = 0; i < 5; ++i, ++sent) ASSERT_TRUE(send_all(client, "behind it"));
  std::thread resuming([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    collector_->pause(false);
  });
  EXPECT_TRUE(front_end_->stop(std::chrono::seconds(10)));
  resuming.join();
  collector_->finish();
  EXPECT_EQ(collector_->count() + sum("udp", [](const auto& c) { return c.kernel_dropped_records.value(); }),
            sent);
}

TEST_F(Stop, IsNotHeldUpBySendersThatNeverStop) {
  run();
  std::atomic<bool> ending{false};
  std::vector<std::thread> senders;
  const auto flood = [&](UniqueFd fd) {
    senders.emplace_back([&, fd = std::move(fd)] {
      while (!ending && send_all(fd, "on and on\n")) {
      }
    });
  };
  flood(stream());
  flood(connect_ip(port("tcp"), SOCK_STREAM));
  flood(connect_ip(port("udp"), SOCK_DGRAM));
  flood(datagram());
  ASSERT_TRUE(collector_->wait_for(1000));
  const auto started = std::chrono::steady_clock::now();
  front_end_->stop(std::chrono::seconds(10));
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
  ending = true;
  for (std::thread& sender : senders) sender.join();
  collector_->finish();
  std::uint64_t received = 0;
  for (const char* name : {"app", "devlog", "tcp", "udp"}) {
    received += sum(name, [](const auto& c) { return c.received_records.value(); });
  }
  EXPECT_EQ(received, collector_->count());
}

TEST_F(Stop, CountsAsDroppedWhatNoRingTakesBeforeTheBound) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  const UniqueFd client = datagram();
  std::thread sender([&] {
    while (send_all(client, std::string(8000, 'd'))) {
    }
  });
  ASSERT_TRUE(eventually(
      [&] { return sum("devlog", [](const auto& c) { return c.backpressure_pauses.value(); }) > 0; }));
  EXPECT_FALSE(front_end_->stop(std::chrono::milliseconds(100)));
  sender.join();
  collector_->finish();
  const auto shutdown = static_cast<std::size_t>(DropReason::shutdown);
  const auto dropped = sum("devlog", [&](const auto& c) { return c.dropped_records[shutdown].value(); });
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(sum("devlog", [](const auto& c) { return c.received_records.value(); }),
            collector_->count() + dropped);
  const auto& by_reason = front_end_->rings("main")[0].loss->by_reason;
  EXPECT_EQ(by_reason[static_cast<std::size_t>(ingress::LossReason::shutdown)].value(), dropped);
}

/// Lines of ten bytes, for as long as the socket takes them.
std::uint64_t fill_with_lines(const UniqueFd& client) {
  const std::string line = "123456789\n";
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += line;
  std::uint64_t sent = 0;
  for (int waits = 0; waits < 50;) {
    const std::string_view rest = std::string_view(lines).substr(sent % line.size());
    const ssize_t n = ::send(client.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<std::uint64_t>(n);
      waits = 0;
    } else {
      ++waits;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return (sent + line.size() - 1) / line.size();  // the last one may be cut
}

/// A Unix socket's: what is on its way over TCP when the daemon ends has not reached it.
TEST_F(Stop, CountsAsDroppedWhatASocketHeldWhenTheTimeWasOver) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  const UniqueFd client = stream();
  const std::uint64_t sent = fill_with_lines(client);
  EXPECT_FALSE(front_end_->stop(std::chrono::milliseconds(100)));
  collector_->finish();
  const auto shutdown = static_cast<std::size_t>(DropReason::shutdown);
  const auto dropped = sum("app", [&](const auto& c) { return c.dropped_records[shutdown].value(); });
  EXPECT_GT(dropped, 1000U);
  EXPECT_EQ(collector_->count() + dropped, sent);
}

/// Nobody has asked them yet what they speak; unless the full ring has just room for them, and they are stored then.
TEST_F(Stop, CountsTheRecordsOfPeersThatWereNeverReadByWhatTheySpeak) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  const UniqueFd filling = stream();
  const std::uint64_t lines = fill_with_lines(filling);
  std::string bytes;
  wire::append_hello(bytes, 1, "app", "", {});
  wire::append_share(bytes, 1 << 20);
  const UniqueFd shares = stream();
  ASSERT_TRUE(send_all(shares, bytes));
  bytes.clear();
  wire::append_hello(bytes, 1, "app", "", {});
  wire::NativeBatch batch(bytes, 1, wire::Wanted::none);
  for (int i = 0; i < 100; ++i) batch.add({.text = "\n"});
  batch.finish();
  const UniqueFd sends_records = stream();
  ASSERT_TRUE(send_all(sends_records, bytes));
  const UniqueFd speaks_tls = stream();
  ASSERT_TRUE(send_all(speaks_tls, std::string("\x16\x03\x01\x00\xc8\x01\n\n\n", 9)));
  ASSERT_TRUE(eventually(
      [&] { return sum("app", [](const auto& c) { return c.accepted_connections.value(); }) == 4; }));
  EXPECT_FALSE(front_end_->stop(std::chrono::milliseconds(100)));
  collector_->finish();
  const auto shutdown = static_cast<std::size_t>(DropReason::shutdown);
  const auto dropped = sum("app", [&](const auto& c) { return c.dropped_records[shutdown].value(); });
  EXPECT_EQ(collector_->count() + dropped, lines + 100);
}

}  // namespace
}  // namespace fastlogd::ingest
