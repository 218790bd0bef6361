// fastlogctl send: what it writes and how it reaches a socket.
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/message_sink.hpp"
#include "ctl/message_words.hpp"
#include "ctl/sink_arguments.hpp"
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

class MessageWords : public testing::Test {
 protected:
  MessageWords() { add_send(app_, exit_code_, nothing_); }

  /// The words; what is left for CLI11 is in options_.
  std::vector<std::string> take(std::vector<std::string> arguments) {
    std::vector<std::string> words = take_message_words(*app_.get_subcommand("send"), arguments);
    options_ = std::move(arguments);
    return words;
  }

  using Words = std::vector<std::string>;
  CLI::App app_;
  ExitCode exit_code_ = ExitCode::done;
  Words nothing_, options_;
};

TEST_F(MessageWords, AreTakenAsTheyAre) {
  for (const Words& words :
       {Words{"[\"a\",\"b\"]"}, Words{"[ERROR]", "disk"}, Words{"[]"}, Words{"a", "++", "b"}, Words{""},
        Words{"a", "", "b"}, Words{"-"}, Words{"-1"}, Words{"- x"}, Words{"tail"}}) {
    EXPECT_EQ(take(words), words);
    EXPECT_TRUE(options_.empty());
  }
}

TEST_F(MessageWords, StandBetweenOptionsAndTheirValues) {
  EXPECT_EQ(
      take({"a", "-t", "tag", "b", "--priority", "err", "-it", "tag", "--tag=x", "c", "--raw", "d", "-tx"}),
      (Words{"a", "b", "c", "d"}));
  EXPECT_EQ(options_, (Words{"-t", "tag", "--priority", "err", "-it", "tag", "--tag=x", "--raw", "-tx"}));
  EXPECT_EQ(take({"--config", "file", "--socket", "path", "--ack", "stored", "x"}), Words{"x"});
}

TEST_F(MessageWords, AreAllThatStandsBehindTwoDashes) {
  EXPECT_EQ(take({"-t", "tag", "--", "-x", "--", "--raw"}), (Words{"-x", "--", "--raw"}));
  EXPECT_EQ(options_, (Words{"-t", "tag"}));
}

TEST_F(MessageWords, LeaveUnknownOptionsToBeRefused) {
  EXPECT_EQ(take({"a", "-x", "--nonsense", "b"}), (Words{"a", "b"}));
  EXPECT_EQ(options_, (Words{"-x", "--nonsense"}));
}

TEST(SinkArguments, TakeNoStreamBesideASocketThatIsNamed) {
  SinkArguments arguments;
  arguments.tcp = "127.0.0.1:514";
  EXPECT_EQ(sink_address(arguments, SinkUse::any).kind, SinkKind::tcp);
  arguments.target.stream = "main";
  EXPECT_THROW((void)sink_address(arguments, SinkUse::any), Failure);
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
