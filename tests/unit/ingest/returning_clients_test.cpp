#include "ingest/returning_clients.hpp"

#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

TEST(ReturningClients, ArePutOffUntilAllTheirRingsAreSettled) {
  ReturningClients clients;
  const ClientKey client{.id = {7}, .uid = 1};
  EXPECT_FALSE(clients.is_pending(0, client));
  clients.expect(0, client);
  clients.expect(0, client);
  clients.settle(0, client, 50);
  EXPECT_TRUE(clients.is_pending(0, client));
  clients.settle(0, client, 20);
  EXPECT_FALSE(clients.is_pending(0, client));
  EXPECT_EQ(clients.last_of(0, client), 50U) << "never goes back";
}

TEST(ReturningClients, AreNotTakenForOneAnother) {
  ReturningClients clients;
  const ClientKey client{.id = {7}, .uid = 1};
  clients.expect(0, client);
  clients.settle(0, client, 9);
  clients.expect(0, client);
  for (const auto& [stream, other] : {std::pair{std::size_t{1}, client},
                                      {std::size_t{0}, ClientKey{.id = {7}, .uid = 2}},
                                      {std::size_t{0}, ClientKey{.id = {8}, .uid = 1}}}) {
    EXPECT_FALSE(clients.is_pending(stream, other));
    EXPECT_EQ(clients.last_of(stream, other), 0U);
  }
}

}  // namespace
}  // namespace fastlogd::ingest
