// The record path allocates nothing: counted in the io threads, over every transport and header.
#include "counting_new.hpp"
#include "fixture.hpp"

namespace fastlogd::ingest {
namespace {

class Allocation : public FrontEndTest {
 protected:
  void SetUp() override {
    if (!counting_new::kCounts) GTEST_SKIP() << "a sanitizer's allocator is in charge";
  }

  /// Sends in rounds; the first two warm up, then not one allocation is allowed.
  template <class Round>
  void expect_none(std::uint64_t records_per_round, Round round) {
    collector_->count_only();
    std::uint64_t sent = 0;
    for (int i = 0; i < 12; ++i) {
      if (i == 2) {
        counting_new::allocations = 0;
        counting_new::counting = true;
      }
      round();
      sent += records_per_round;
      ASSERT_TRUE(collector_->wait_for(sent));
    }
    counting_new::counting = false;
    EXPECT_EQ(counting_new::allocations, 0U);
  }
};

TEST_F(Allocation, CounterSeesTheIoThreads) {
  run();
  counting_new::counting = true;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(stream());
  EXPECT_TRUE(eventually([&] { return front_end_->open_connections() == 3; }));
  counting_new::counting = false;
  EXPECT_GT(counting_new::allocations, 0U);  // a connection may allocate
}

TEST_F(Allocation, StreamsAllocateNothingPerRecord) {
  run();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 16; ++i)
    clients.push_back(i % 2 == 0 ? stream() : connect_ip(port("tcp"), SOCK_STREAM));
  std::string batch;
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    batch += "081109 203615 148 INFO a plain line " + n + "\n";
    batch += "<13>Nov 22 23:05:01 host" + n + " app" + n + "[" + n + "]: message\n";
    batch += "<165>1 2026-11-22T22:14:15.003Z host app" + n + " 7 ID [a@1 x=\"y z\"] text\n";
  }
  expect_none(16 * 900, [&] {
    for (const UniqueFd& client : clients) ASSERT_TRUE(send_all(client, batch));
  });
}

TEST_F(Allocation, DatagramsAllocateNothingPerRecord) {
  run();
  const UniqueFd client = datagram();
  const UniqueFd udp = connect_ip(port("udp"), SOCK_DGRAM);
  expect_none(400, [&] {
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(send_all(client, "<13>app[" + std::to_string(i) + "]: unix"));
      ASSERT_TRUE(send_all(udp, "<13>app" + std::to_string(i) + ": udp"));
    }
  });
}

}  // namespace
}  // namespace fastlogd::ingest
