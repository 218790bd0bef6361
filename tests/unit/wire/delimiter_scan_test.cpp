#include "wire/delimiter_scan.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::wire {
namespace {

std::vector<std::size_t> found(std::string_view bytes, std::size_t from, char delimiter) {
  std::vector<std::size_t> all;
  DelimiterScan scan(bytes, from, delimiter);
  for (std::size_t at = scan.next(); at != DelimiterScan::kNone; at = scan.next()) all.push_back(at);
  EXPECT_EQ(scan.next(), DelimiterScan::kNone) << "the end is final";
  return all;
}

std::vector<std::size_t> expected(std::string_view bytes, std::size_t from, char delimiter) {
  std::vector<std::size_t> all;
  for (std::size_t at = bytes.find(delimiter, from); at != bytes.npos; at = bytes.find(delimiter, at + 1)) {
    all.push_back(at);
  }
  return all;
}

TEST(DelimiterScan, NothingIsFoundInNothing) {
  EXPECT_TRUE(found("", 0, '\n').empty());
  EXPECT_TRUE(found("abc", 3, '\n').empty());
  EXPECT_TRUE(found({}, 0, '\0').empty()) << "the zeros that fill up a short block are no delimiters";
}

TEST(DelimiterScan, OneDelimiterAtEveryPlaceOfEveryLength) {
  for (std::size_t bytes = 1; bytes <= 200; ++bytes) {
    for (std::size_t at = 0; at < bytes; ++at) {
      std::string text(bytes, 'x');
      text[at] = '\0';
      ASSERT_EQ(found(text, 0, '\0'), std::vector{at}) << bytes;
    }
  }
}

// The bytes lie alone on the heap, so that the address sanitizer sees a read outside of them.
TEST(DelimiterScan, FindsWhatASearchByteByByteFinds) {
  std::mt19937_64 random(20261125);
  for (int round = 0; round < 5000; ++round) {
    const std::size_t bytes = random() % 400;
    const auto memory = std::make_unique<char[]>(bytes);
    const unsigned one_in = 1 + static_cast<unsigned>(random() % 100);
    const char delimiter = random() % 2 == 0 ? '\n' : '\0';
    std::generate_n(memory.get(), bytes,
                    [&] { return random() % one_in == 0 ? delimiter : static_cast<char>(random()); });
    const std::string_view text(memory.get(), bytes);
    const std::size_t from = random() % (bytes + 1);
    ASSERT_EQ(found(text, from, delimiter), expected(text, from, delimiter))
        << "round " << round << ", " << bytes << " bytes from " << from;
  }
}

}  // namespace
}  // namespace fastlogd::wire
