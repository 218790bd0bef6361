#include "ingest/returning_clients.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ClientKey kClient{.id = {7}, .uid = 1};

TEST(ReturningClients, ArePutOffUntilAllTheirRingsAreSettled) {
  ReturningClients clients;
  EXPECT_FALSE(clients.puts_off(0, kClient, 1));
  EXPECT_EQ(clients.expect(0, kClient), 0U);
  EXPECT_EQ(clients.expect(0, kClient), 1U);
  EXPECT_TRUE(clients.is_turn_of(0, kClient, 0) && clients.is_superseded(0, kClient, 0));
  EXPECT_FALSE(clients.is_turn_of(0, kClient, 1) || clients.is_superseded(0, kClient, 1));
  EXPECT_FALSE(clients.is_wanted(0, kClient));
  EXPECT_TRUE(clients.puts_off(0, kClient, 1));
  EXPECT_TRUE(clients.is_wanted(0, kClient)) << "the ring is to be settled now";
  clients.settle(0, kClient, 50, {}, "a");
  EXPECT_TRUE(clients.is_turn_of(0, kClient, 1));
  EXPECT_TRUE(clients.puts_off(0, kClient, 1));
  clients.settle(0, kClient, 20, {}, "b");
  EXPECT_FALSE(clients.puts_off(0, kClient, 1));
  EXPECT_EQ(clients.last_of(0, kClient), 50U) << "never goes back";
  EXPECT_THAT(clients.take_kept_names(0, kClient), ElementsAre("a", "b"));
  EXPECT_THAT(clients.take_kept_names(0, kClient), IsEmpty());
}

TEST(ReturningClients, AreNotTakenForOneAnother) {
  ReturningClients clients;
  static_cast<void>(clients.expect(0, kClient));
  for (const auto& [stream, other] :
       {std::pair{std::size_t{1}, kClient}, {std::size_t{0}, ClientKey{.id = {8}, .uid = 1}}}) {
    EXPECT_FALSE(clients.puts_off(stream, other, 1));
    EXPECT_EQ(clients.last_of(stream, other), 0U);
  }
}

TEST(ReturningClients, WhoHasGivenUpPrivilegesIsPutOffToo) {
  ReturningClients clients;
  const ClientKey now{.id = kClient.id, .uid = 33};
  static_cast<void>(clients.expect(0, kClient));
  EXPECT_TRUE(clients.puts_off(0, now, 5));
  clients.settle(0, kClient, 9, {.first = 3, .last = 3, .why = wire::Refusal::malformed}, "a");
  EXPECT_TRUE(clients.puts_off(0, now, 5)) << "it had asked before the ring was drained";
  EXPECT_FALSE(clients.puts_off(0, now, 5)) << "but nobody is kept away for good";
  EXPECT_FALSE(clients.puts_off(0, now, 10));
  EXPECT_EQ(clients.last_of(0, now), 0U) << "another user's records are not passed over";
  EXPECT_EQ(clients.take_refused(0, now).last, 0U);
  EXPECT_THAT(clients.take_kept_names(0, now), IsEmpty());
}

TEST(ReturningClients, HearOnceWhatWasRefused) {
  ReturningClients clients;
  static_cast<void>(clients.expect(0, kClient));
  clients.settle(0, kClient, 9, {.first = 3, .last = 4, .why = wire::Refusal::stream_full}, "");
  const RefusedRecords refused = clients.take_refused(0, kClient);
  EXPECT_EQ(refused.first, 3U);
  EXPECT_EQ(refused.last, 4U);
  EXPECT_EQ(refused.why, wire::Refusal::stream_full);
  EXPECT_EQ(clients.take_refused(0, kClient).last, 0U);
}

}  // namespace
}  // namespace fastlogd::ingest
