// Records of clients that say who they are: which are passed over, and what the appender hears of their numbers.
#include <unistd.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fixture.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::ingest {
namespace {

constexpr ClientId kClient{1, 2, 3};

struct NumberedSlice {
  std::uint64_t number = 0;
  std::string slice;
  friend bool operator==(const NumberedSlice&, const NumberedSlice&) = default;
};

class NumberedClients : public FrontEndTest {
 protected:
  std::vector<NumberedSlice> collected() const {
    std::vector<NumberedSlice> all;
    for (const Collected& one : collector_->records()) all.push_back({one.number, one.slice});
    return all;
  }
  /// One connection that sends these from `first` on.
  UniqueFd send(const ClientId& client, std::uint64_t first, const std::vector<std::string>& texts) const {
    UniqueFd fd = stream();
    std::string out;
    wire::append_hello(out, first, "app", "", client);
    wire::NativeBatch batch(out, first, wire::Wanted::none);
    for (const std::string& text : texts) batch.add({.text = text});
    batch.finish();
    EXPECT_TRUE(send_all(fd, out));
    return fd;
  }
};

TEST_F(NumberedClients, HaveTheirNumbersBesideTheirRecords) {
  run();
  const UniqueFd fd = send(kClient, 7, {"seven", "eight"});
  const UniqueFd other = send({}, 1, {"nobody"});
  ASSERT_TRUE(collector_->wait_for(3));
  auto all = collected();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  EXPECT_EQ(all, (std::vector<NumberedSlice>{{0, "nobody"}, {7, "seven"}, {8, "eight"}}));
}

TEST_F(NumberedClients, AreNotBelievedTwice) {
  known_.note({.id = kClient, .uid = ::getuid()}, 2);
  known_.note({.id = {9}, .uid = ::getuid() + 1}, 100);
  run();
  const UniqueFd fd = send(kClient, 1, {"one", "two", "three"});
  const UniqueFd other = send({9}, 1, {"another user's name"});
  ASSERT_TRUE(collector_->wait_for(2));
  auto all = collected();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  EXPECT_EQ(all, (std::vector<NumberedSlice>{{1, "another user's name"}, {3, "three"}}));
}

TEST_F(NumberedClients, KeepTheirNumbersBehindARecordThatIsRefused) {
  run(standard_listeners(), {}, {.record_bytes_max = 1000});
  const std::string large(1001, 'x');
  const UniqueFd fd = send(kClient, 1, {"one", large, "three", large, large, "six", "seven"});
  ASSERT_TRUE(collector_->wait_for(4));
  EXPECT_EQ(collected(), (std::vector<NumberedSlice>{{1, "one"}, {3, "three"}, {6, "six"}, {7, "seven"}}));
}

}  // namespace
}  // namespace fastlogd::ingest
