// What fastlogctl prints beside records: tables, the progress bar, the daemon's replies.
#include <fstream>

#include <gtest/gtest.h>

#include "ctl/failure.hpp"
#include "ctl/progress.hpp"
#include "ctl/reply.hpp"
#include "ctl/table.hpp"
#include "ctl/target.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::ctl {
namespace {

TEST(Table, AlignsNumbersToTheRightAndTextToTheLeft) {
  Table table({"name", "disk_bytes", "note"});
  table.add({Cell::of_text("a"), Cell::of_bytes(1024), Cell::of_text("")});
  table.add({Cell::of_text("longer"), Cell::of_bytes(5), Cell::of_text("text")});
  EXPECT_EQ(table.to_text(),
            "NAME    DISK BYTES  NOTE\n"
            "a             1KiB  -\n"
            "longer          5B  text\n");
}

TEST(Table, IsAnArrayOfObjectsInJson) {
  Table table({"name", "bytes", "time", "live"});
  EXPECT_EQ(table.to_json(), "[]\n");
  table.add(
      {Cell::of_text("a \"b\""), Cell::of_bytes(1024), Cell::of_time(0), Cell::of_bool(true, "yes", "no")});
  EXPECT_EQ(table.to_json(),
            "[\n {\"name\": \"a \\\"b\\\"\", \"bytes\": 1024, \"time\": null, \"live\": true}\n]\n");
}

TEST(Table, ShowsControlCharactersAsEscapesAndKeepsThemInJson) {
  Table table({"identifier", "host"});
  table.add({Cell::of_text("a\x1b[2J\nb"), Cell::of_text("h")});
  EXPECT_EQ(table.to_text(),
            "IDENTIFIER   HOST\n"
            "a\\x1b[2J\\nb  h\n");
  EXPECT_EQ(table.to_json(), "[\n {\"identifier\": \"a\\u001b[2J\\nb\", \"host\": \"h\"}\n]\n");
  Table high({"identifier"});
  high.add({Cell::of_text("a\x7f\xc2\x9b")});
  EXPECT_EQ(high.to_json(), "[\n {\"identifier\": \"a\\u007f\\u009b\"}\n]\n");
}

TEST(ProgressBar, FillsAsWorkIsDone) {
  const std::string half = render_progress("verify", 512, 1024, 0, 60);
  EXPECT_EQ(half.find("verify ["), 0U);
  EXPECT_NE(half.find(" 50% 512B of 1.0KiB"), std::string::npos) << half;
  EXPECT_LT(half.size(), 60U);
  const std::string full = render_progress("verify", 1024, 1024, 0, 60);
  EXPECT_EQ(full.find('>'), std::string::npos) << full;
  EXPECT_NE(full.find("100%"), std::string::npos);
}

TEST(ProgressBar, SaysHowFastAndHowLongAndFitsANarrowTerminal) {
  const std::string text = render_progress("verify", 1 << 20, 3 << 20, 1.0, 200);
  EXPECT_NE(text.find("1.0MiB/s 2s left"), std::string::npos) << text;
  EXPECT_EQ(render_progress("verify", 1, 2, 0, 20), "verify  50% 1B of 2B");
  EXPECT_NE(render_progress("empty", 0, 0, 1.0, 80).find("100%"), std::string::npos);
}

TEST(Reply, KnowsSuccessProblemsAndErrors) {
  const auto good = parse_reply({200, R"({"ok":true,"changes":["a: 1 -> 2"],"restart_needed":["b"]})"});
  EXPECT_TRUE(good.ok);
  EXPECT_EQ(good.changes, std::vector<std::string>{"a: 1 -> 2"});
  EXPECT_EQ(good.restart_needed, std::vector<std::string>{"b"});
  const auto bad = parse_reply({422, R"({"ok":false,"problems":["f:1:2: no"]})"});
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.problems, std::vector<std::string>{"f:1:2: no"});
  EXPECT_EQ(parse_reply({404, R"({"ok":false,"error":"no stream x"})"}).error, "no stream x");
  EXPECT_FALSE(parse_reply({500, R"({"ok":true})"}).ok);
}

TEST(Reply, KeepsWhatIsNotJsonAsTheError) {
  const auto reply = parse_reply({503, "busy"});
  EXPECT_FALSE(reply.ok);
  EXPECT_EQ(reply.error, "the daemon answered 503: busy");
  EXPECT_FALSE(parse_reply({200, "[1]"}).ok);
}

TEST(Reply, IsReadableForPeople) {
  EXPECT_EQ(json_for_people(R"({"pid":7,"none":[],"build":{"version":"1"},"streams":[{"name":"main","n":1},
                             {"name":"b","n":200}],"list":["x",2]})"),
            "pid: 7\n"
            "none: none\n"
            "build:\n"
            "  version: 1\n"
            "streams:\n"
            "  name  n\n"
            "  main  1\n"
            "  b     200\n"
            "list:\n"
            "  x\n"
            "  2\n");
  EXPECT_EQ(json_for_people("not json"), "not json");
}

TEST(Reply, ShowsObjectsOfMoreKeysThanFitAScreenOneByOne) {
  EXPECT_EQ(json_for_people(R"({"streams":[{"name":"main","b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8},
                                           {"name":"other","b":1}]})"),
            "streams:\n"
            "  - name: main\n"
            "    b: 1\n    c: 2\n    d: 3\n    e: 4\n    f: 5\n    g: 6\n    h: 7\n    i: 8\n"
            "  - name: other\n"
            "    b: 1\n");
  const std::string eight = json_for_people(R"([{"a":1,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7}])");
  EXPECT_EQ(eight, "a  b  c  d  e  f  g  h\n1  1  2  3  4  5  6  7\n");
}

TEST(ChooseStream, TakesMainElseTheOnlyOne) {
  const Stream main{"main", "/m"};
  const Stream other{"other", "/o"};
  EXPECT_EQ(choose_stream({main, other}, "").name, "main");
  EXPECT_EQ(choose_stream({other}, "").name, "other");
  EXPECT_EQ(choose_stream({main, other}, "other").directory, "/o");
  EXPECT_THROW((void)choose_stream({other, {"third", "/t"}}, ""), Failure);
  EXPECT_THROW((void)choose_stream({main}, "other"), Failure);
}

TEST(FindStreams, AsksTheConfiguration) {
  const test::TempDirectory directory;
  const std::string path = directory.path() + "/fastlogd.yaml";
  std::ofstream(path) << "runtime_directory: " << directory.path() << "/run\n"
                      << "streams:\n  a-stream-with-a-long-name: {directory: " << directory.path() << "/a}\n"
                      << "listeners: []\n";
  const auto streams = find_streams({.config = path});
  ASSERT_EQ(streams.size(), 1U);
  EXPECT_EQ(streams[0].name, "a-stream-with-a-long-name");
  EXPECT_EQ(streams[0].directory, directory.path() + "/a");
  EXPECT_EQ(control_socket_path({.config = path}), directory.path() + "/run/control.sock");
  EXPECT_EQ(control_socket_path({.config = path, .socket = "/s"}), "/s");
}

TEST(FindStreams, RefusesABadConfiguration) {
  const test::TempDirectory directory;
  const std::string path = directory.path() + "/fastlogd.yaml";
  std::ofstream(path) << "strems: {}\n";
  try {
    (void)find_streams({.config = path});
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), ExitCode::configuration);
  }
}

TEST(Reply, ThatIsNoneOfTheDaemonsIsShownInOneLine) {
  EXPECT_EQ(parse_reply({403, "Forbidden\n"}).error, "the daemon answered 403: Forbidden");
  EXPECT_EQ(parse_reply({500, ""}).error, "the daemon answered 500");
  EXPECT_EQ(parse_reply({403, R"({"ok":false,"error":"Forbidden"})"}).error, "Forbidden");
}

TEST(Status, SaysWhichDaemonItIsOf) {
  const StatusFacts facts = parse_status(
      R"({"running":true,"configuration":{"path":"/etc/f.yaml"},"streams":[{"name":"main","directory":"/m","segments":3}]})");
  EXPECT_EQ(facts.config_path, "/etc/f.yaml");
  ASSERT_EQ(facts.streams.size(), 1U);
  EXPECT_EQ(facts.streams[0].name, "main");
  EXPECT_EQ(facts.streams[0].directory, "/m");
  for (const char* other : {"", "[]", "{}", R"({"configuration":1,"streams":{}})"}) {
    EXPECT_EQ(parse_status(other).config_path, "") << other;
    EXPECT_TRUE(parse_status(other).streams.empty()) << other;
  }
}

TEST(PercentEncoding, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encoded("main-1_a.b~"), "main-1_a.b~");
  EXPECT_EQ(percent_encoded("a b&c=\xc3"), "a%20b%26c%3D%C3");
}

}  // namespace
}  // namespace fastlogd::ctl
