// fastlogctl send: what it writes and how it reaches a socket.
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "ctl/failure.hpp"
#include "ctl/message_sink.hpp"
#include "ctl/syslog_message.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::int64_t kTime = 1'700'000'000'123'456'789;  // 2023-11-14T22:13:20.123456789Z

TEST(SyslogMessage, IsWrittenAsRfc5424WithMicroseconds) {
  std::string out;
  append_message(out, {.priority = Priority{11}, .tag = "app", .pid = "42", .host = "box"}, "hello there",
                 kTime);
  EXPECT_EQ(out, "<11>1 2023-11-14T22:13:20.123456Z box app 42 - - hello there");
}

TEST(SyslogMessage, IsWrittenAsSyslogOfTheCLibraryDoes) {
  std::string out;
  append_message(out, {.format = MessageFormat::rfc3164, .priority = Priority{13}, .tag = "app", .pid = "42"},
                 "hello", kTime);
  EXPECT_EQ(out.substr(0, 8), "<13>Nov ");
  EXPECT_EQ(out.substr(19), " app[42]: hello") << out;
}

TEST(SyslogMessage, RawIsTheTextAlone) {
  std::string out;
  append_message(out, {.format = MessageFormat::raw, .tag = "app"}, "hello", kTime);
  EXPECT_EQ(out, "hello");
}

TEST(PriorityOption, TakesNamesAndNumbers) {
  EXPECT_EQ(parse_priority("local0.err")->value, 16 * 8 + 3);
  EXPECT_EQ(parse_priority("warning")->value, 1 * 8 + 4);
  EXPECT_EQ(parse_priority("191")->value, 191);
  for (const char* wrong : {"", "192", "local9.err", "user.", "user.loud", "."})
    EXPECT_FALSE(parse_priority(wrong)) << wrong;
}

class MessageSinkTest : public testing::Test {
 protected:
  UniqueFd listen_at(int type) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path_.data(), path_.size());
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(socket.get(), 1), 0);
    }
    return socket;
  }
  static std::string receive(int fd) {
    std::array<char, 1024> buffer{};
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
  }

  test::TempDirectory directory_;
  std::string path_ = directory_.path() + "/socket";
};

TEST_F(MessageSinkTest, StreamsEndEachMessageWithANewline) {
  const UniqueFd listener = listen_at(SOCK_STREAM);
  MessageSink sink({SinkKind::unix_stream, path_}, false);
  const UniqueFd connection(::accept(listener.get(), nullptr, nullptr));
  sink.send("one");
  sink.send("two");
  sink.flush();
  EXPECT_EQ(receive(connection.get()), "one\ntwo\n");
}

TEST_F(MessageSinkTest, OctetCountsStandBeforeMessages) {
  const UniqueFd listener = listen_at(SOCK_STREAM);
  MessageSink sink({SinkKind::unix_stream, path_}, true);
  const UniqueFd connection(::accept(listener.get(), nullptr, nullptr));
  sink.send("one\ntwo");
  sink.flush();
  EXPECT_EQ(receive(connection.get()), "7 one\ntwo");
}

TEST_F(MessageSinkTest, DatagramsAreTheMessageAlone) {
  const UniqueFd listener = listen_at(SOCK_DGRAM);
  MessageSink sink({SinkKind::unix_datagram, path_}, true);
  sink.send("one");
  sink.send("two");
  EXPECT_EQ(receive(listener.get()), "one");
  EXPECT_EQ(receive(listener.get()), "two");
}

TEST_F(MessageSinkTest, SaysWhereNobodyListens) {
  EXPECT_THROW(MessageSink({SinkKind::unix_stream, path_}, false), Failure);
  EXPECT_THROW(MessageSink({SinkKind::tcp, "localhost"}, false), Failure);
}

}  // namespace
}  // namespace fastlogd::ctl
