#include "config/suggest.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace fastlogd::config {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("levle", "level"), 1U);
  EXPECT_EQ(edit_distance("ca", "abc"), 3U) << "optimal string alignment edits no substring twice";
}

TEST(Suggest, FindsTheClosestWordAndOnlyACloseOne) {
  constexpr std::array<std::string_view, 3> kKnown{"streams", "listeners", "http"};
  EXPECT_EQ(suggest("stream", kKnown), "streams");
  EXPECT_EQ(suggest("listners", kKnown), "listeners");
  EXPECT_EQ(suggest("htpt", kKnown), "http");
  EXPECT_EQ(suggest("retention", kKnown), std::nullopt);
  EXPECT_EQ(suggest(std::string(10'000, 'x'), kKnown), std::nullopt);
}

}  // namespace
}  // namespace fastlogd::config
