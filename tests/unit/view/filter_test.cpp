#include "view/filter.hpp"

#include <gtest/gtest.h>

namespace fastlogd::view {
namespace {

RecordView record(std::string_view message, std::string_view identifier = "app", std::uint8_t priority = 14) {
  RecordView view;
  view.sequence.value = 7;
  view.receive_time_ns = 1000;
  view.priority.value = priority;
  view.source.transport = Transport::unix_stream;
  view.source.uid = 1000;
  view.source.identifier = identifier;
  view.slice = message;
  return view;
}

bool matches(FilterSpec spec, const RecordView& view) {
  const auto filter = RecordFilter::compile(std::move(spec));
  EXPECT_TRUE(filter.has_value());
  return filter && filter->matches(view);
}

bool field_matches(const std::vector<std::string>& conditions, const RecordView& view) {
  FilterSpec spec;
  for (const std::string& text : conditions) spec.fields.push_back(parse_field_condition(text).value());
  return matches(std::move(spec), view);
}

bool pattern_matches(std::string pattern, std::string_view message) {
  FilterSpec spec;
  spec.pattern = std::move(pattern);
  return matches(std::move(spec), record(message));
}

TEST(Filter, LetsEverythingThroughByDefault) {
  EXPECT_TRUE(matches({}, record("x")));
}

TEST(Filter, IncludesBothEndsOfTheTime) {
  EXPECT_TRUE(matches({.since_ns = 1000, .until_ns = 1000}, record("x")));
  EXPECT_FALSE(matches({.since_ns = 1001}, record("x")));
  EXPECT_FALSE(matches({.until_ns = 999}, record("x")));
}

TEST(SeverityFilter, TakesOneNameAsThatAndWorse) {
  const SeverityRange range = parse_severity_range("err").value();
  EXPECT_TRUE(range.contains(Severity::emerg));
  EXPECT_TRUE(range.contains(Severity::err));
  EXPECT_FALSE(range.contains(Severity::warning));
  FilterSpec spec;
  spec.severity = range;
  EXPECT_TRUE(matches(spec, record("x", "app", 11)));
  EXPECT_FALSE(matches(spec, record("x", "app", 12)));
}

TEST(SeverityFilter, TakesARangeInEitherOrder) {
  for (const std::string_view text : {"warning..alert", "alert..warning", "4..1"}) {
    const SeverityRange range = parse_severity_range(text).value();
    EXPECT_EQ(range.most, Severity::alert) << text;
    EXPECT_EQ(range.least, Severity::warning) << text;
  }
}

TEST(SeverityFilter, TakesARangeWithAnOpenEnd) {
  const SeverityRange upwards = parse_severity_range("warning..").value();
  EXPECT_EQ(upwards.most, Severity::emerg);
  EXPECT_EQ(upwards.least, Severity::warning);
  const SeverityRange downwards = parse_severity_range("..err").value();
  EXPECT_EQ(downwards.most, Severity::err);
  EXPECT_EQ(downwards.least, Severity::debug);
}

TEST(SeverityFilter, NamesWhatItCannotRead) {
  for (const std::string_view text : {"loud", "", "..", "8", "err..loud", "..loud", "loud.."}) {
    EXPECT_FALSE(parse_severity_range(text).has_value()) << text;
  }
  EXPECT_NE(parse_severity_range("err..loud").error().context.find("'loud'"), std::string::npos);
}

TEST(IdentifierFilter, IncludesAndExcludes) {
  EXPECT_TRUE(matches({.identifiers = {"x", "app"}}, record("m")));
  EXPECT_FALSE(matches({.identifiers = {"ap"}}, record("m")));
  EXPECT_FALSE(matches({.excluded_identifiers = {"app"}}, record("m")));
  EXPECT_TRUE(matches({.excluded_identifiers = {"ap"}}, record("m")));
}

TEST(PatternFilter, IgnoresCaseIfAllLowerCase) {
  EXPECT_TRUE(pattern_matches("error", "An ERROR"));
  EXPECT_TRUE(pattern_matches("Error", "An Error"));
  EXPECT_FALSE(pattern_matches("Error", "An ERROR"));
  EXPECT_TRUE(pattern_matches("gr\xc3\xbc", "GR\xc3\x9c"));
}

TEST(PatternFilter, IsARegularExpressionFoundAnywhere) {
  EXPECT_TRUE(pattern_matches("blk_-?[0-9]+ terminating$", "for block blk_-38 terminating"));
  EXPECT_FALSE(pattern_matches("^block", "for block"));
  EXPECT_TRUE(pattern_matches("10.251.73.220", "to 10.251.73.220:50010"));
  EXPECT_TRUE(pattern_matches("50010", "to 10.251.73.220:50010"));
  EXPECT_FALSE(pattern_matches("50011", "to 10.251.73.220:50010"));
}

TEST(PatternFilter, LooksAtTheMessageOnly) {
  RecordView view = record("[a b=\"secret\"] text");
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = 15;
  EXPECT_FALSE(matches({.pattern = "secret"}, view));
  EXPECT_TRUE(matches({.pattern = "^text$"}, view));
}

TEST(PatternFilter, RefusesABrokenPatternWithTheReason) {
  const auto filter = RecordFilter::compile({.pattern = "a("});
  ASSERT_FALSE(filter.has_value());
  EXPECT_NE(filter.error().context.find("'a('"), std::string::npos);
  EXPECT_NE(filter.error().context.find("missing )"), std::string::npos);
}

TEST(FieldFilter, ComparesKeys) {
  const RecordView view = record("hello");
  EXPECT_TRUE(field_matches({"identifier=app"}, view));
  EXPECT_TRUE(field_matches({"uid=1000"}, view));
  EXPECT_TRUE(field_matches({"severity=info"}, view));
  EXPECT_TRUE(field_matches({"facility=user"}, view));
  EXPECT_TRUE(field_matches({"transport=unix-stream"}, view));
  EXPECT_TRUE(field_matches({"seq=7"}, view));
  EXPECT_TRUE(field_matches({"message=hello"}, view));
  EXPECT_TRUE(field_matches({"format=raw"}, view));
  EXPECT_TRUE(field_matches({"truncated=false"}, view));
  EXPECT_FALSE(field_matches({"host=web1"}, view));
  EXPECT_FALSE(field_matches({"uid=0"}, view));
}

TEST(FieldFilter, NeverTakesAnUnknownIdForANumber) {
  EXPECT_FALSE(field_matches({"pid=4294967295"}, record("x")));
  EXPECT_TRUE(field_matches({"pid!=1"}, record("x")));
}

TEST(FieldFilter, TakesAnyOfOneFieldAndAllOfSeveral) {
  const RecordView view = record("hello");
  EXPECT_TRUE(field_matches({"identifier=x", "identifier=app", "uid=1000"}, view));
  EXPECT_FALSE(field_matches({"identifier=x", "uid=1000"}, view));
  EXPECT_FALSE(field_matches({"identifier=app", "uid!=1000"}, view));
}

TEST(FieldFilter, ReadsStructuredDataWithItsEscapes) {
  const std::string_view slice = R"([origin@1 ip.v4="10.0.0.1" say="\"hi\""][b c="d"] text)";
  RecordView view = record(slice);
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = static_cast<std::uint32_t>(slice.size() - 4);
  EXPECT_TRUE(field_matches({"c=d"}, view));
  EXPECT_TRUE(field_matches({"b.c=d"}, view));
  EXPECT_TRUE(field_matches({"origin@1.ip.v4=10.0.0.1"}, view));
  EXPECT_TRUE(field_matches({"say=\"hi\""}, view));
  EXPECT_FALSE(field_matches({"a.c=d"}, view));
  EXPECT_FALSE(field_matches({"c=dd"}, view));
  EXPECT_TRUE(field_matches({"c!=e"}, view));
  EXPECT_TRUE(field_matches({"absent!=e"}, view));
  EXPECT_FALSE(field_matches({"absent="}, view));
}

TEST(FieldFilter, RefusesWhatCanNeverMatch) {
  const auto refused = [](std::string_view text) {
    FilterSpec spec;
    spec.fields.push_back(parse_field_condition(text).value());
    return !RecordFilter::compile(std::move(spec)).has_value();
  };
  EXPECT_TRUE(refused("uid=root"));
  EXPECT_TRUE(refused("severity=loud"));
  EXPECT_TRUE(refused("time=now"));
  EXPECT_TRUE(refused("truncated=maybe"));
  EXPECT_FALSE(refused("anything=else"));
}

TEST(FieldCondition, SplitsAtTheFirstEqualsSign) {
  const FieldCondition equal = parse_field_condition("a=b=c").value();
  EXPECT_EQ(equal.field, "a");
  EXPECT_EQ(equal.value, "b=c");
  EXPECT_TRUE(equal.equal);
  const FieldCondition unequal = parse_field_condition("a!=").value();
  EXPECT_EQ(unequal.field, "a");
  EXPECT_EQ(unequal.value, "");
  EXPECT_FALSE(unequal.equal);
  for (const std::string_view text : {"", "a", "=b", "!=b"}) {
    EXPECT_FALSE(parse_field_condition(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace fastlogd::view
