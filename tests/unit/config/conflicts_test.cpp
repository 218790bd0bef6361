#include "config/conflicts.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/config_support.hpp"

namespace fastlogd::config {
namespace {

using ::testing::HasSubstr;

TEST(Conflicts, DefaultsHaveNone) {
  EXPECT_TRUE(find_conflicts(default_config()).empty());
}

TEST(Conflicts, TwoStreamsMustNotShareOrNestDirectories) {
  EXPECT_EQ(problems_of("streams:\n  a: {directory: /x}\n  b: {directory: /x/}\nlisteners: []\n"),
            "main.yaml:3:18: streams.b.directory: stream 'a' has the same directory /x\n");
  EXPECT_EQ(problems_of("streams:\n  a: {directory: /x}\n  b: {directory: /x/y}\nlisteners: []\n"),
            "main.yaml:3:18: streams.b.directory: /x/y and stream 'a' at /x lie inside one another\n");
  EXPECT_EQ(problems_of("streams:\n  a: {directory: /x}\n  b: {directory: /xy}\nlisteners: []\n"), "");
}

TEST(Conflicts, TextFilesStayOutOfSegmentDirectories) {
  EXPECT_EQ(problems_of("streams:\n  a: {directory: /x, text: {path: /x/a.log}}\nlisteners: []\n"),
            "main.yaml:2:35: streams.a.text.path: /x/a.log lies in the segment directory of stream 'a'; only "
            "segments "
            "may be there\n");
  EXPECT_THAT(
      problems_of(
          "streams: {a: {directory: /x}, b: {directory: /y, text: {path: /x/b.log}}}\nlisteners: []\n"),
      HasSubstr("streams.b.text.path: /x/b.log lies in the segment directory of stream 'a'"));
}

TEST(Conflicts, TextFilesDoNotMeetOneAnother) {
  const auto with_paths = [](const std::string& a, const std::string& b) {
    return "streams: {a: {directory: /x, text: {path: " + a + "}}, b: {directory: /y, text: {path: " + b +
           "}}}\nlisteners: []\n";
  };
  EXPECT_EQ(problems_of(with_paths("/a.log", "/b.log")), "");
  EXPECT_THAT(problems_of(with_paths("/a.log", "/a.log")), HasSubstr("stream 'a' writes the same text file"));
  EXPECT_THAT(problems_of(with_paths("/a.log", "/a.log.7")),
              HasSubstr("that stream 'a' rotates its text file to"));
  EXPECT_EQ(problems_of(with_paths("/a.log", "/a.log.old")), "");
}

TEST(Conflicts, ListenersNeedAStream) {
  EXPECT_EQ(
      problems_of("streams: {audit: {}}\nlisteners:\n  - {name: a, transport: unix-stream, path: /a}\n"),
      "main.yaml:3:5: listeners.a.stream: there is no stream 'main'\n");
  EXPECT_EQ(problems_of("listeners:\n  - {name: a, transport: unix-stream, path: /a, stream: mian}\n"),
            "main.yaml:2:57: listeners.a.stream: there is no stream 'mian'\n");
}

TEST(Conflicts, ListenersHaveNamesOfTheirOwn) {
  EXPECT_THAT(problems_of("listeners:\n  - {name: a, transport: unix-stream, path: /a}\n"
                          "  - {name: a, transport: unix-stream, path: /b}\n"),
              HasSubstr("main.yaml:3:12: two listeners are named 'a'"));
}

TEST(Conflicts, ListenersHavePlacesOfTheirOwn) {
  const auto two = [](const std::string& a, const std::string& b) {
    return problems_of("listeners:\n  - {name: a, " + a + "}\n  - {name: b, " + b + "}\n");
  };
  EXPECT_THAT(two("transport: unix-stream, path: /s", "transport: unix-datagram, path: //s"),
              HasSubstr("main.yaml:3:47: listeners.b.path: listener 'a' has the same path /s"));
  const std::string any = "address: 0.0.0.0, port: 5140";
  const std::string one = "address: 127.0.0.1, port: 5140";
  const std::string six = "address: \"::1\", port: 5140";
  EXPECT_THAT(two("transport: tcp, " + any, "transport: tcp, " + one), HasSubstr("has the same address"));
  EXPECT_EQ(two("transport: tcp, " + one, "transport: udp, " + one), "");
  EXPECT_EQ(two("transport: tcp, " + one, "transport: tcp, " + six), "");
  const std::string all = "address: \"::\", port: 5140";
  for (const std::string& other : {any, one, six})
    EXPECT_THAT(two("transport: tcp, " + other, "transport: tcp, " + all), HasSubstr("has the same address"));
  EXPECT_THAT(two("transport: udp, " + all, "transport: udp, " + any), HasSubstr("has the same address"));
  EXPECT_THAT(two("transport: udp, address: \"0::0\", port: 5140", "transport: udp, " + one),
              HasSubstr("has the same address"));
  EXPECT_EQ(two("transport: tcp, " + any, "transport: tcp, " + six), "");
  const std::string chosen = "transport: tcp, address: 127.0.0.1, port: 0";
  EXPECT_EQ(two(chosen, chosen), "") << "the kernel chooses two different ports";
}

TEST(Conflicts, HttpAndTcpDoNotShareAPort) {
  EXPECT_THAT(problems_of("listeners:\n  - {name: a, transport: tcp, address: 127.0.0.1, port: 9514}\n"),
              HasSubstr("main.yaml:2:57: listeners.a.port: http has the same address"));
  EXPECT_THAT(problems_of("listeners:\n  - {name: a, transport: tcp, address: \"::\", port: 9514}\n"),
              HasSubstr("http has the same address"));
}

TEST(Conflicts, SocketPathsFitTheKernel) {
  const auto listener = [](std::size_t bytes) {
    return problems_of("listeners:\n  - {name: a, transport: unix-stream, path: /" +
                       std::string(bytes - 1, 'x') + "}\n");
  };
  EXPECT_EQ(listener(107), "");
  EXPECT_THAT(listener(108), HasSubstr("has 108 bytes; the kernel takes 107"));
  EXPECT_THAT(problems_of("runtime_directory: /" + std::string(100, 'x') + "\nlisteners: []\n"),
              HasSubstr("main.yaml:1:20: runtime_directory: the socket path"));
}

TEST(Conflicts, ListenersKeepOffTheControlSocketAndTheFiles) {
  const auto at = [](const std::string& path) {
    return problems_of("listeners: [{name: a, transport: unix-stream, path: " + path +
                       "}]\n"
                       "streams: {main: {directory: /x, text: {path: /t.log}}}\n");
  };
  EXPECT_THAT(at("/run/fastlogd/control.sock"), HasSubstr("is the control socket"));
  EXPECT_THAT(at("/x/a.sock"), HasSubstr("lies in the segment directory of stream 'main'"));
  EXPECT_THAT(at("/t.log"), HasSubstr("is the text file of stream 'main'"));
}

TEST(Conflicts, RetentionLeavesRoomForOneSegmentToKeep) {
  EXPECT_THAT(
      problems_of("streams: {main: {segment_bytes: 4MiB, retention: {bytes_max: 11MiB}}}\n"),
      HasSubstr(
          "main.yaml:1:62: streams.main.retention.bytes_max: 11MiB is less than three segments of 4MiB"));
  EXPECT_EQ(problems_of("streams: {main: {segment_bytes: 4MiB, retention: {bytes_max: 12MiB}}}\n"), "");
  EXPECT_EQ(problems_of("streams: {main: {segment_bytes: 4MiB, retention: {bytes_max: 0}}}\n"), "");
}

}  // namespace
}  // namespace fastlogd::config
