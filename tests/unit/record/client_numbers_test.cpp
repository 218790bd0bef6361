#include "record/client_numbers.hpp"

#include <cstring>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

ClientKey client(std::uint64_t word, std::uint32_t uid = 1000) {
  ClientKey key{.uid = uid};
  std::memcpy(key.id.data(), &word, sizeof word);
  key.id[15] = 1;
  return key;
}

TEST(ClientNumbers, KnowTheHighestOfEachClientAndUser) {
  ClientNumbers numbers;
  EXPECT_TRUE(numbers.empty());
  numbers.note(client(1), 7);
  numbers.note(client(2), 3);
  numbers.note(client(1), 5);
  numbers.note(client(1, 0), 1);
  EXPECT_EQ(numbers.last_of(client(1)), 7U);
  EXPECT_EQ(numbers.last_of(client(2)), 3U);
  EXPECT_EQ(numbers.last_of(client(1, 0)), 1U) << "another user's client of the same name";
  EXPECT_EQ(numbers.last_of(client(3)), 0U);
  EXPECT_EQ(numbers.size(), 3U);
}

TEST(ClientNumbers, DoNotKnowWhatLiesBeforeAHole) {
  ClientNumbers numbers;
  numbers.note(client(1), 10);  // as a start knows it: all of them
  EXPECT_EQ(numbers.known_from(client(1), 1), 10U);
  EXPECT_EQ(numbers.known_from(client(1), 10), 1U);
  EXPECT_EQ(numbers.known_from(client(1), 11), 0U);
  numbers.note(client(1), 11, 12);
  EXPECT_EQ(numbers.known_from(client(1), 3), 10U);
  numbers.note(client(1), 20, 29);
  EXPECT_EQ(numbers.known_from(client(1), 12), 0U);
  EXPECT_EQ(numbers.known_from(client(1), 20), 10U);
  numbers.note(client(1), 13, 19);  // late: the hole may have had more parts
  EXPECT_EQ(numbers.known_from(client(1), 12), 0U);
  EXPECT_EQ(numbers.last_of(client(1)), 29U);
  EXPECT_EQ(numbers.known_from(client(2), 1), 0U);
  numbers.note(client(2), 5, 6);
  EXPECT_EQ(numbers.known_from(client(2), 4), 0U);
  EXPECT_EQ(numbers.known_from(client(2), 5), 2U);
  numbers.note(client(3), 21, 30);
  numbers.note(client(3), 1, 10);  // its first ones, late: what follows them may be later still
  EXPECT_EQ(numbers.known_from(client(3), 11), 0U);
  EXPECT_EQ(numbers.known_from(client(3), 21), 10U);
  numbers.note(client(3), 11, 20);
  EXPECT_EQ(numbers.known_from(client(3), 11), 20U);
  numbers.forget();
  EXPECT_EQ(numbers.known_from(client(1), 20), 0U);
}

TEST(ClientNumbers, KnowNothingOfWhoHasNoId) {
  ClientNumbers numbers;
  numbers.note({}, 7);
  numbers.note({.uid = 5}, 7);
  EXPECT_TRUE(numbers.empty());
  EXPECT_EQ(numbers.last_of({}), 0U);
}

TEST(ClientNumbers, ForgetWhoHasBeenSilentLongest) {
  ClientNumbers numbers;
  const auto nth = [](std::size_t n) { return client(n * ClientNumbers::kSets + 3); };  // all of one set
  for (std::size_t n = 0; n < ClientNumbers::kWays; ++n) numbers.note(nth(n), n + 1);
  numbers.note(nth(0), 100);  // speaks again
  numbers.note(nth(99), 1);
  EXPECT_EQ(numbers.last_of(nth(0)), 100U);
  EXPECT_EQ(numbers.last_of(nth(1)), 0U);
  EXPECT_EQ(numbers.last_of(nth(2)), 3U);
  EXPECT_EQ(numbers.last_of(nth(99)), 1U);
  EXPECT_EQ(numbers.size(), ClientNumbers::kWays);
}

TEST(ClientNumbers, KeepWhoIsNewestThroughACopy) {
  ClientNumbers numbers;
  for (std::uint64_t n = 0; n < 2 * ClientNumbers::kWays; ++n)
    numbers.note(client(n * ClientNumbers::kSets), n + 1);
  ClientNumbers copy;
  copy.add(numbers);
  copy.note(client(1000 * ClientNumbers::kSets), 1);
  EXPECT_EQ(copy.last_of(client(ClientNumbers::kWays * ClientNumbers::kSets)), 0U) << "the oldest one";
  EXPECT_EQ(copy.last_of(client((ClientNumbers::kWays + 1) * ClientNumbers::kSets)),
            ClientNumbers::kWays + 2);
}

TEST(ClientNumbers, HoldAsManyAsPeopleHave) {
  std::mt19937_64 chance(1);
  ClientNumbers numbers;
  std::map<std::uint64_t, std::uint64_t> expected;
  for (std::uint64_t n = 1; n <= ClientNumbers::kClientsMax / 4; ++n) {
    const std::uint64_t id = chance();
    numbers.note(client(id), n);
    expected[id] = n;
  }
  for (const auto& [id, last] : expected) EXPECT_EQ(numbers.last_of(client(id)), last);
}

}  // namespace
}  // namespace fastlogd
