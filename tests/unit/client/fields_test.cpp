#include "client/fields.hpp"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastlog/fastlog.h"
#include "record/structured_data.hpp"

namespace fastlogd::client {
namespace {

fastlog_field field(const char* name, std::string_view value) {
  return {.name = name, .value = value.data(), .value_bytes = value.size()};
}

std::string written(const std::vector<fastlog_field>& fields) {
  std::string text(fields_bytes(fields), '?');
  EXPECT_EQ(write_fields(fields, text.data()), text.data() + text.size());
  return text;
}

// With or without a daemon: it would only be told by one, and every time.
TEST(Options, RefuseAnIdentifierThatIsNoWord) {
  for (const char* identifier : {"bad ident", "line\nbreak", "\x7f"}) {
    fastlog_options options = FASTLOG_OPTIONS_INIT;
    options.socket = "/nonexistent/app.sock";
    options.identifier = identifier;
    fastlog_log* log = nullptr;
    EXPECT_EQ(fastlog_open(&options, &log), FASTLOG_ERROR_ARGUMENT);
    EXPECT_NE(std::string(fastlog_error(log)).find("identifier"), std::string::npos);
  }
}

TEST(Fields, AreOneElementOfStructuredData) {
  EXPECT_EQ(written({field("user", "me"), field("empty", "")}), R"([fields@0 user="me" empty=""])");
}

TEST(Fields, EscapeWhatRfc5424WantsEscaped) {
  const std::string text = written({field("path", R"(a"b\c]d)")});
  EXPECT_EQ(text, R"([fields@0 path="a\"b\\c\]d"])");
  EXPECT_EQ(structured_data_bytes(text), text.size());
}

TEST(Fields, AnyValueIsReadAsItWasWritten) {
  std::string value;
  for (int c = 0; c < 256; ++c) value += static_cast<char>(c);
  const std::string text = written({field("all", value)});
  ASSERT_EQ(structured_data_bytes(text), text.size());
  StructuredDataReader reader(text);
  StructuredParam param;
  ASSERT_TRUE(reader.next(param));
  EXPECT_EQ(param.name, "all");
  EXPECT_TRUE(unescaped_equals(param.raw_value, value));
}

TEST(Fields, NamesAreNames) {
  for (const char* name :
       {"", "a b", "a=b", "a]", "a\"", "a\x7f", "\xc3\xa4", "a23456789012345678901234567890123"}) {
    EXPECT_EQ(fields_bytes(std::array{field(name, "x")}), 0U) << name;
  }
  EXPECT_NE(fields_bytes(std::array{field("a2345678901234567890123456789012", "x")}), 0U);
  EXPECT_EQ(fields_bytes(std::array{fastlog_field{.name = nullptr, .value = "x", .value_bytes = 1}}), 0U);
  EXPECT_EQ(fields_bytes(std::array{fastlog_field{.name = "a", .value = nullptr, .value_bytes = 1}}), 0U);
}

}  // namespace
}  // namespace fastlogd::client
