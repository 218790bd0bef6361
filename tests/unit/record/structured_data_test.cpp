#include "record/structured_data.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/record_view.hpp"

namespace fastlogd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> params(std::string_view data) {
  std::vector<std::string> all;
  StructuredDataReader reader(data);
  StructuredParam param;
  while (reader.next(param)) {
    std::string shown(param.element);
    shown += '.';
    shown += param.name;
    shown += '=';
    append_unescaped(shown, param.raw_value);
    all.push_back(shown);
  }
  return all;
}

TEST(StructuredData, IsMeasured) {
  EXPECT_EQ(structured_data_bytes("-"), 1u);
  EXPECT_EQ(structured_data_bytes("- message"), 1u);
  EXPECT_EQ(structured_data_bytes("[a]"), 3u);
  EXPECT_EQ(structured_data_bytes("[a] [b]"), 3u);
  EXPECT_EQ(structured_data_bytes("[a x=\"1\"][b] m"), 12u);
  EXPECT_EQ(structured_data_bytes(R"([a x="\"]\]"] m)"), 13u);
}

TEST(StructuredData, IsNoneIfBroken) {
  for (const std::string_view text : {"",
                                      "x",
                                      "-x",
                                      "[",
                                      "[]",
                                      "[a",
                                      "[a ",
                                      "[a x",
                                      "[a x=",
                                      "[a x=\"",
                                      "[a x=\"1",
                                      "[a x=\"1\"",
                                      "[a x=\"1\"]m",
                                      "[a x=\"1\"y=\"2\"]",
                                      "[a  x=\"1\"]",
                                      "[a x=1]",
                                      "[a =\"1\"]",
                                      "[ a]",
                                      "[a x=\"\\\"]",
                                      "[a][",
                                      "[a x=\"1\" ]"}) {
    EXPECT_EQ(structured_data_bytes(text), 0u) << text;
  }
}

TEST(StructuredData, IsWalkedInOrder) {
  EXPECT_THAT(params(R"([a@1 x="1" y="2"][b][c z="3"])"), ElementsAre("a@1.x=1", "a@1.y=2", "b.=", "c.z=3"));
  EXPECT_THAT(params(""), IsEmpty());
  EXPECT_THAT(params("-"), IsEmpty());
}

TEST(StructuredData, IsUnescaped) {
  EXPECT_THAT(params(R"([a x="\"q\" \\ \] \n"])"), ElementsAre(R"(a.x="q" \ ] \n)"));
}

TEST(StructuredData, EndsEarlyWhereItIsBroken) {
  EXPECT_THAT(params("[a x=\"1\" y"), ElementsAre("a.x=1"));
  EXPECT_THAT(params("[a"), IsEmpty());
  EXPECT_THAT(params("["), IsEmpty());
  EXPECT_THAT(params("[]"), IsEmpty());
  EXPECT_THAT(params("[ x=\"1\"]"), IsEmpty());
}

TEST(StructuredData, ComparesWithoutACopy) {
  EXPECT_TRUE(unescaped_equals(R"(\"a\\)", R"("a\)"));
  EXPECT_TRUE(unescaped_equals("", ""));
  EXPECT_TRUE(unescaped_equals(R"(\n)", R"(\n)"));
  EXPECT_FALSE(unescaped_equals("ab", "a"));
  EXPECT_FALSE(unescaped_equals("a", "ab"));
  EXPECT_FALSE(unescaped_equals(R"(\")", R"(\")"));
}

TEST(RecordView, FindsItsStructuredDataBeforeTheMessage) {
  RecordView view;
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.slice = "[a x=\"]\"] \xef\xbb\xbf[not] data";
  view.message_start = 13;
  EXPECT_EQ(view.structured_data(), "[a x=\"]\"]");
  EXPECT_EQ(view.message(), "[not] data");
  view.slice = "- [not] data";
  view.message_start = 2;
  EXPECT_EQ(view.structured_data(), "");
  view.slice = "[left out] entirely";
  view.message_start = 0;
  EXPECT_EQ(view.structured_data(), "");
}

TEST(RecordView, HasNoStructuredDataInOtherFormats) {
  RecordView view;
  view.slice = "[a x=\"1\"] text";
  view.message_start = 10;
  EXPECT_EQ(view.structured_data(), "");
}

TEST(RecordFlags, KeepTheFormatApartFromTheRest) {
  RecordFlags flags;
  flags.bits =
      static_cast<std::uint8_t>(static_cast<unsigned>(RecordFormat::rfc5424) | RecordFlags::kTruncated);
  EXPECT_EQ(flags.format(), RecordFormat::rfc5424);
  EXPECT_TRUE(flags.truncated());
  EXPECT_FALSE(flags.malformed());
}

}  // namespace
}  // namespace fastlogd
