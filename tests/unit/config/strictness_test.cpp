// Everything that a lenient reader would let pass.
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/config_support.hpp"

namespace fastlogd::config {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* text;
  const char* problems;
};

void expect(std::initializer_list<Case> cases) {
  for (const Case& one : cases) EXPECT_EQ(problems_of(one.text), one.problems) << one.text;
}

std::string text_of_items(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "x,";
  return text;
}

TEST(Strictness, NamesUnknownKeysWithPlaceAndSuggestion) {
  expect({
      {"streams:\n  main:\n    retension: {}\n",
       "main.yaml:3:5: unknown key 'streams.main.retension'; did you mean 'retention'?\n"},
      {"streams:\n  main: {retention: {max_bytes: 1GiB}}\n",
       "main.yaml:2:22: unknown key 'streams.main.retention.max_bytes'; known here: bytes_max, age_max, "
       "keep_free\n"},
      {"diagnostics: {levle: info}\n",
       "main.yaml:1:15: unknown key 'diagnostics.levle'; did you mean 'level'?\n"},
  });
}

TEST(Strictness, RefusesDuplicateKeys) {
  expect({
      {"http: {port: 1}\nlimits: {}\nhttp: {port: 2}\n",
       "main.yaml:3:1: key 'http' is given twice; the first is on line 1\n"},
      {"http: {port: 1, port: 1}\n", "main.yaml:1:17: key 'port' is given twice; the first is on line 1\n"},
  });
}

TEST(Strictness, RefusesWrongTypes) {
  expect({
      {"streams: [main]\n", "main.yaml:1:10: 'streams' must hold keys and values, not a list\n"},
      {"streams: main\n", "main.yaml:1:10: 'streams' must hold keys and values, not a single value\n"},
      {"listeners: {app: {}}\n",
       "main.yaml:1:12: 'listeners' must be a list, not keys and values; write [] for none\n"},
      {"http: {port: [1]}\n", "main.yaml:1:8: 'port' must be a whole number, not a list\n"},
      {"http: {port: \"9514\"}\n", "main.yaml:1:14: 'port' must be a number without quotes\n"},
      {"http: {port: 95.5}\n", "main.yaml:1:14: '95.5' is not a whole number\n"},
      {"http: {port: -1}\n", "main.yaml:1:14: '-1' is not a whole number\n"},
      {"http: {port: 99999999999}\n", "main.yaml:1:14: '99999999999' is too large\n"},
      {"http: {enabled: yes}\n", "main.yaml:1:17: 'yes' is not true or false\n"},
      {"http: {address: localhost}\n", "main.yaml:1:17: 'localhost' is not a numeric IPv4 or IPv6 address\n"},
      {"- a\n", "main.yaml:1:1: the file must hold keys and values, such as 'streams:'\n"},
      {"hello\n", "main.yaml:1:1: the file must hold keys and values, such as 'streams:'\n"},
  });
}

TEST(Strictness, RefusesAKeyWithoutAValue) {
  EXPECT_EQ(problems_of("limits: {connections_max: }\n"),
            "main.yaml:1:10: 'connections_max' must be a whole number, not nothing\n");
  EXPECT_THAT(problems_of("http:\n"), HasSubstr("'http' must hold keys and values, not nothing"));
}

TEST(Strictness, RefusesNumbersThatLookOctal) {
  expect({
      {"http: {port: 012}\n", "main.yaml:1:14: '012' begins with 0, which some readers take for octal\n"},
      {"limits: {record_bytes_max: 01024}\n",
       "main.yaml:1:28: '01024' begins with 0, which some readers take for octal\n"},
      {"streams: {main: {durability: {interval: 010s}}}\n",
       "main.yaml:1:41: '010s' begins with 0, which some readers take for octal\n"},
      {"streams: {main: {retention: {age_max: 00}}}\n",
       "main.yaml:1:39: '00' begins with 0, which some readers take for octal\n"},
      {"streams: {main: {retention: {age_max: 0}, durability: {interval: 0.5s}}}\n", ""},
      {"http: {port: 0x10}\n", "main.yaml:1:14: '0x10' begins with 0, which some readers take for octal\n"},
  });
}

TEST(Strictness, TakesFileModesOnlyWithTheirLeadingZero) {
  const auto with_mode = [](const std::string& mode) {
    return "listeners: [{name: a, transport: unix-stream, path: /a, mode: " + mode + "}]\n";
  };
  EXPECT_EQ(problems_of(with_mode("\"0600\"")), "");
  EXPECT_EQ(load_text(with_mode("0600")).config->listeners.at(0).mode, 0600U);
  for (const char* bad : {"666", "438", "\"0888\"", "\"01777\"", "rw"}) {
    EXPECT_THAT(problems_of(with_mode(bad)), HasSubstr("main.yaml:1:63: ")) << bad;
    EXPECT_THAT(problems_of(with_mode(bad)), HasSubstr("is not a file mode")) << bad;
  }
}

TEST(Strictness, RefusesAnchorsAliasesMergeKeysAndTags) {
  EXPECT_THAT(problems_of("http: &x {port: 1}\n"),
              HasSubstr("main.yaml:1:7: anchors (&x) are not supported"));
  EXPECT_THAT(problems_of("http: &x {port: 1}\nlimits: *x\n"),
              HasSubstr("main.yaml:2:9: aliases (*name) are not supported"));
  EXPECT_EQ(problems_of("http:\n  <<: {port: 1}\n"),
            "main.yaml:2:3: merge keys (<<) are not supported; write the values out\n");
  EXPECT_THAT(problems_of("http: {port: !!int 5}\n"),
              HasSubstr("tags (tag:yaml.org,2002:int) are not supported"));
  EXPECT_THAT(problems_of("? [a, b]\n: c\n"), HasSubstr("a key must be a word"));
}

TEST(Strictness, RefusesASecondDocument) {
  EXPECT_EQ(problems_of("http: {port: 1}\n---\nhttp: {port: 2}\n"),
            "main.yaml:3:1: a second document ('---') in the same file is not supported\n");
}

TEST(Strictness, TurnsSyntaxErrorsIntoProblems) {
  for (const char* bad : {"http: {port: 1\n", "a: b: c\n", "\"\n", "%YAML 9.9\n---\n", "a: [}\n", "\t- a\n",
                          "*a\n", "a: *b\n", "- - - [", "{", "? ? ?", "!<", "&", "a: |9\n"}) {
    const Loaded loaded = load_text(bad);
    EXPECT_FALSE(loaded.ok()) << bad;
    EXPECT_FALSE(loaded.problems.empty()) << bad;
  }
}

TEST(Strictness, SaysThatATabIsNoIndentation) {
  EXPECT_EQ(problems_of("http:\n\tport: 1\n"),
            "main.yaml:2:1: a tab in the indentation; YAML wants spaces\n");
  EXPECT_EQ(problems_of("limits:\n  connections_max: 5\n  \trecord_bytes_max: 1KiB\n"),
            "main.yaml:3:3: a tab in the indentation; YAML wants spaces\n");
  EXPECT_THAT(problems_of("a: b: c\n"), ::testing::Not(HasSubstr("tab")));
}

TEST(Strictness, RefusesControlCharacters) {
  using namespace std::string_literals;
  EXPECT_EQ(problems_of("http:\n  po\0rt: 1\n"s),
            "main.yaml:2:5: control character 0x00: this is not YAML text\n");
}

TEST(Strictness, RefusesDeepNestingWithoutRecursingInto) {
  EXPECT_THAT(problems_of(std::string(100'000, '[')), HasSubstr("nested deeper than 16 levels"));
  std::string block;
  for (int i = 0; i < 400; ++i) block += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(problems_of(block), HasSubstr("nested deeper than 16 levels"));
}

TEST(Strictness, RefusesAFileOfCountlessKeysAtOnce) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += fmt::format("k{}: 1\n", i);
  EXPECT_EQ(problems_of(text), "main.yaml:1025:1: more than 1024 entries in one place\n");
  EXPECT_THAT(problems_of("listeners: [" + text_of_items(100'000) + "]\n"),
              HasSubstr("more than 1024 entries"));
}

TEST(Strictness, SaysWhatIsNotSupportedYet) {
  expect({
      {"listeners:\n  - {name: t, transport: tls, address: 127.0.0.1, port: 6514}\n",
       "main.yaml:2:26: transport 'tls' is not supported yet; choose one of: unix-stream, unix-datagram, "
       "tcp, udp\n"},
      {"http: {tls: {}}\n", "main.yaml:1:8: 'http.tls' is not supported yet\n"},
  });
}

TEST(Strictness, ChecksRanges) {
  expect({
      {"streams: {main: {segment_bytes: 3MiB}}\n",
       "main.yaml:1:33: 'segment_bytes' must be a power of two from 1MiB to 8GiB, such as 2MiB\n"},
      {"streams: {main: {segment_bytes: 512KiB}}\n",
       "main.yaml:1:33: 'segment_bytes' must be a power of two from 1MiB to 8GiB, such as 1MiB\n"},
      {"streams: {main: {durability: {interval: 2h}}}\n",
       "main.yaml:1:41: 'interval' must be from 1ms to 1h\n"},
      {"streams: {main: {durability: {group_window: 1s}}}\n",
       "main.yaml:1:45: 'group_window' must be from 0 to 100ms\n"},
      {"streams: {main: {durability: {mode: fsync}}}\n",
       "main.yaml:1:37: 'fsync' is no mode; choose one of: none, interval, group, dax\n"},
      {"streams: {main: {durability: {sync_severity: critical}}}\n",
       "main.yaml:1:46: 'critical' is no sync_severity; choose one of: none, emerg, alert, crit, err, "
       "warning, notice, "
       "info, debug\n"},
      {"streams: {main: {durability: {on_failure: retry}}}\n",
       "main.yaml:1:43: 'retry' is no on_failure; choose one of: fail-over, stop\n"},
      {"streams: {main: {retention: {age_max: 5}}}\n",
       "main.yaml:1:39: '5' has an unknown unit ''; a duration is written like 100ms, 1s or 30d\n"},
      {"limits: {record_bytes_max: 1MiB}\n",
       "main.yaml:1:28: 'record_bytes_max' must be from 64B to 512KiB\n"},
      {"limits: {connections_max: 0}\n", "main.yaml:1:27: 'connections_max' must be from 1 to 1000000\n"},
      {"io: {ring_bytes: 1MiB}\n",
       "main.yaml:1:18: 'ring_bytes' must be a power of two from 2MiB to 1GiB, such as 2MiB\n"},
  });
}

TEST(Strictness, ChecksNamesAndPaths) {
  expect({
      {"streams: {Main: {}}\n",
       "main.yaml:1:11: 'Main' is no name for a stream: 1 to 32 of a-z 0-9 _ -, not beginning with _ or -\n"},
      {"streams: {}\n", "main.yaml:1:10: 'streams' is empty; there must be at least one\n"},
      {"listeners: [{name: ../x, transport: unix-stream, path: /a}]\n",
       "main.yaml:1:20: '../x' is no name for a listener: 1 to 32 of a-z 0-9 _ -, not beginning with _ or "
       "-\n"},
      {"streams: {main: {directory: var/log}}\n",
       "main.yaml:1:29: 'var/log' is not an absolute path; it must begin with '/'\n"},
      {"streams: {main: {directory: /var/../x}}\n", "main.yaml:1:29: '/var/../x' must not hold '..'\n"},
      {"streams: {main: {directory: \"/a\\nb\"}}\n",
       "main.yaml:1:29: 'directory' holds a control character\n"},
  });
}

TEST(Strictness, ChecksThatListenersFitTheirTransport) {
  expect({
      {"listeners: [{name: a, transport: tcp, path: /a, address: 127.0.0.1, port: 1}]\n",
       "main.yaml:1:45: 'path' has no meaning here; it belongs to unix-stream and unix-datagram\n"},
      {"listeners: [{name: a, transport: unix-stream, port: 1}]\n",
       "main.yaml:1:13: the listener needs 'path'\n"
       "main.yaml:1:53: 'port' has no meaning here; it belongs to tcp and udp\n"},
      {"listeners: [{name: a, transport: udp, address: 127.0.0.1, port: 1, framing: lines}]\n",
       "main.yaml:1:77: 'framing' has no meaning here; it belongs to unix-stream and tcp; a datagram is one "
       "message\n"},
      {"listeners: [{name: a}]\n", "main.yaml:1:13: the listener needs 'transport'\n"},
      {"listeners: [{transport: unix-stream, path: /a}]\n", "main.yaml:1:13: the listener needs 'name'\n"},
      {"listeners: [x]\n", "main.yaml:1:13: 'listeners[1]' must hold keys and values, not a single value\n"},
  });
}

}  // namespace
}  // namespace fastlogd::config
