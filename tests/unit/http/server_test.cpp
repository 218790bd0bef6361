#include "http/server.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "http/unix_socket.hpp"
#include "unit/http/client.hpp"
#include "unit/http/running_server.hpp"

namespace fastlogd::http {
namespace {

using test::ask;
using test::connect_tcp;
using test::connect_unix;
using test::is_closed;
using test::Owed;
using test::receive_all;
using test::routes;
using test::RunningServer;
using test::send_all;
using test::status_line;
using test::wait_until_asked;

TEST(HttpServer, AnswersAGet) {
  const RunningServer server;
  const std::string response =
      ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(response), "HTTP/1.1 200 OK");
  EXPECT_TRUE(response.ends_with("\r\n\r\nworld"));
  EXPECT_NE(response.find("Content-Length: 5\r\n"), std::string::npos);
}

TEST(HttpServer, AnswersHeadWithTheLengthAndNoBody) {
  const RunningServer server;
  const std::string response =
      ask(server.port(), "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(response), "HTTP/1.1 200 OK");
  EXPECT_NE(response.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\n"));
}

TEST(HttpServer, KeepsTheConnectionForPipelinedRequests) {
  const RunningServer server;
  const std::string response = ask(server.port(),
                                   "GET /echo?say=one HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /echo?say=two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::size_t first = response.find("\r\n\r\none");
  const std::size_t second = response.find("\r\n\r\ntwo");
  EXPECT_NE(first, std::string::npos);
  EXPECT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
}

TEST(HttpServer, ClosesAfterAnHttp10RequestWithoutKeepAlive) {
  const RunningServer server;
  const std::string response = ask(server.port(), "GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(status_line(response), "HTTP/1.0 200 OK");
  EXPECT_TRUE(response.ends_with("world"));
}

TEST(HttpServer, DecodesAParameter) {
  const RunningServer server;
  const std::string response =
      ask(server.port(), "GET /echo?x=1&say=a%20b+c%26 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(response.ends_with("\r\n\r\na b c&"));
}

TEST(HttpServer, SaysNotFoundForAnUnknownPath) {
  const RunningServer server;
  EXPECT_EQ(status_line(ask(server.port(), "GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")),
            "HTTP/1.1 404 Not Found");
}

TEST(HttpServer, NamesTheMethodsThatAPathAllows) {
  const RunningServer server;
  const std::string response =
      ask(server.port(), "DELETE /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(response), "HTTP/1.1 405 Method Not Allowed");
  EXPECT_NE(response.find("Allow: GET, HEAD\r\n"), std::string::npos);
  const std::string get = ask(server.port(), "GET /act HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(get.find("Allow: POST\r\n"), std::string::npos);
}

TEST(HttpServer, PassesOnTheStatusAndTypeOfAHandler) {
  const RunningServer server;
  const std::string response =
      ask(server.port(), "POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(response), "HTTP/1.1 422 Unprocessable Entity");
  EXPECT_NE(response.find("Content-Type: application/json\r\n"), std::string::npos);
}

TEST(HttpServer, TellsAPeerThatDoesNotSpeakHttp) {
  const RunningServer server;
  EXPECT_EQ(status_line(ask(server.port(), "\x16\x03\x01 not http at all\r\n\r\n")),
            "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status_line(ask(server.port(), "GET /hello HTTP/9.9\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status_line(ask(server.port(), "GET /hello HTTP/1.1\r\nContent-Length: lots\r\n\r\n")),
            "HTTP/1.1 400 Bad Request");
}

TEST(HttpServer, SaysWhatIsWrongBehindAHead) {
  const RunningServer server;
  const std::string response = ask(server.port(), "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n");
  EXPECT_TRUE(response.ends_with("\r\n\r\nBad Request\n")) << response;
}

TEST(HttpServer, RefusesAnOversizeHeader) {
  const RunningServer server;
  const std::string request = "GET /hello HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n";
  EXPECT_EQ(status_line(ask(server.port(), request)), "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST(HttpServer, RefusesAnOversizeBody) {
  const RunningServer server;
  EXPECT_EQ(
      status_line(ask(server.port(), "POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")),
      "HTTP/1.1 413 Payload Too Large");
  const std::string chunked = "POST /act HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" +
                              std::string(4096, 'b') + "\r\n0\r\n\r\n";
  EXPECT_EQ(status_line(ask(server.port(), chunked)), "HTTP/1.1 413 Payload Too Large");
}

// None of it is header or body: nothing but the room for what is not parsed yet bounds it.
TEST(HttpServer, RefusesAnEndlessLineBetweenChunks) {
  const RunningServer server;
  for (const std::string begin : {"1;a=", "0000", "0\r\nA: "}) {
    SCOPED_TRACE(begin);
    const std::string response =
        ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + begin +
                               std::string(std::size_t{80} * 1024, begin == "0000" ? '0' : 'a'));
    EXPECT_EQ(status_line(response), "HTTP/1.1 431 Request Header Fields Too Large");
  }
}

TEST(HttpServer, GivesABodyToTheRouteThatTakesOneAndToNoOther) {
  const auto echo = [](const Request& request, const Reply& reply) {
    reply({.body = "<" + request.body + ">"});
  };
  const RunningServer server([&](auto& io) {
    return Server::listen_tcp(io, "127.0.0.1", 0,
                              {{.method = "POST", .path = "/takes", .handler = echo, .body_bytes_max = 5000},
                               {.method = "POST", .path = "/ignores", .handler = echo}});
  });
  const auto post = [&](const std::string& path, std::size_t bytes) {
    return ask(server.port(), "POST " + path + "?a=b HTTP/1.1\r\nConnection: close\r\nContent-Length: " +
                                  std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'b'));
  };
  EXPECT_TRUE(post("/takes", 5000).ends_with("\r\n\r\n<" + std::string(5000, 'b') + ">"));
  EXPECT_EQ(status_line(post("/takes", 5001)), "HTTP/1.1 413 Payload Too Large");
  EXPECT_TRUE(post("/ignores", 1024).ends_with("\r\n\r\n<>"));
  EXPECT_EQ(status_line(post("/ignores", 1025)), "HTTP/1.1 413 Payload Too Large");
}

TEST(HttpServer, ClosesAPeerThatSendsOneByteAtATime) {
  ServerLimits limits;
  limits.request_timeout = std::chrono::milliseconds(200);
  const RunningServer server(limits);
  const UniqueFd fd = connect_tcp(server.port());
  const std::string request = "GET /hello HTTP/1.1\r\nHost: a-very-slow-client-indeed\r\n\r\n";
  bool closed = false;
  for (std::size_t i = 0; i < request.size() && !closed; ++i) {
    (void)::send(fd.get(), &request[i], 1, MSG_NOSIGNAL);
    closed = is_closed(fd, 30);
  }
  EXPECT_TRUE(closed);
}

TEST(HttpServer, ClosesAPeerThatSaysNothing) {
  ServerLimits limits;
  limits.request_timeout = std::chrono::milliseconds(100);
  const RunningServer server(limits);
  EXPECT_TRUE(is_closed(connect_tcp(server.port()), 10000));
}

TEST(HttpServer, GivesUpOnAHandlerThatNeverAnswers) {
  ServerLimits limits;
  limits.reply_timeout = std::chrono::milliseconds(100);
  const RunningServer server(limits);
  EXPECT_EQ(status_line(ask(server.port(), "GET /never HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")),
            "HTTP/1.1 504 Gateway Timeout");
}

TEST(HttpServer, TakesALateAnswerOnce) {
  Owed owed;
  RunningServer server({}, &owed);
  const UniqueFd fd = connect_tcp(server.port());
  ASSERT_TRUE(send_all(fd, "GET /never HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(wait_until_asked(owed));
  ASSERT_FALSE(is_closed(fd, 100));
  server.post([&owed] {
    owed.reply({200, "text/plain", "at last"});
    owed.reply({200, "text/plain", "again"});
  });
  const std::string response = receive_all(fd);
  EXPECT_TRUE(response.ends_with("at last")) << response;
}

TEST(HttpServer, ForgetsAnAnswerForAPeerThatHasGone) {
  Owed owed;
  RunningServer server({}, &owed);
  {
    const UniqueFd fd = connect_tcp(server.port());
    ASSERT_TRUE(send_all(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(wait_until_asked(owed));
    ASSERT_FALSE(is_closed(fd, 100));
  }
  server.post([&owed] { owed.reply({200, "text/plain", "nobody listens"}); });
  EXPECT_EQ(status_line(ask(server.port(), "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")),
            "HTTP/1.1 200 OK");
}

TEST(HttpServer, ServesANewcomerInPlaceOfTheOldestSilentConnection) {
  ServerLimits limits;
  limits.connections_max = 2;
  const RunningServer server(limits);
  const UniqueFd oldest = connect_tcp(server.port());
  const UniqueFd younger = connect_tcp(server.port());
  ASSERT_FALSE(is_closed(younger, 100));  // the server takes them in their order, whenever it does
  EXPECT_EQ(status_line(ask(server.port(), "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")),
            "HTTP/1.1 200 OK");
  EXPECT_TRUE(is_closed(oldest, 10000));
  ASSERT_TRUE(send_all(younger, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(receive_all(younger).ends_with("world"));
}

TEST(HttpServer, ServesANewcomerInPlaceOfOneThatHasItsAnswer) {
  const RunningServer server(ServerLimits{.connections_max = 2});
  const std::string request = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::vector<UniqueFd> answered;
  for (int i = 0; i < 2; ++i) {
    const UniqueFd& fd = answered.emplace_back(connect_tcp(server.port()));
    ASSERT_TRUE(send_all(fd, request));
    EXPECT_EQ(status_line(receive_all(fd)), "HTTP/1.1 200 OK");
  }
  EXPECT_EQ(status_line(ask(server.port(), request)), "HTTP/1.1 200 OK");
}

TEST(HttpServer, SaysThatItIsFullWhenAllConnectionsAreBusy) {
  ServerLimits limits;
  limits.connections_max = 2;
  Owed owed;
  const RunningServer server(limits, &owed);
  const UniqueFd first = connect_tcp(server.port());
  const UniqueFd second = connect_tcp(server.port());
  ASSERT_TRUE(send_all(first, "GET /never HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(send_all(second, "GET /never HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(wait_until_asked(owed, 2));
  EXPECT_EQ(status_line(receive_all(connect_tcp(server.port()))), "HTTP/1.1 503 Service Unavailable");
}

TEST(HttpServer, SaysWhyItCannotListen) {
  const RunningServer server;
  boost::asio::io_context io;
  const auto second = Server::listen_tcp(io, "127.0.0.1", server.port(), {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().message(),
            "http 127.0.0.1:" + std::to_string(server.port()) + ": Address already in use");
  EXPECT_FALSE(Server::listen_tcp(io, "not an address", 0, {}).has_value());
}

class ControlSocket : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastlogd_http_XXXXXX";
    directory_ = ::mkdtemp(pattern);
    path_ = directory_ + "/control.sock";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::string path_;
};

TEST_F(ControlSocket, ServesAPeerOfOurOwnUser) {
  auto bound = bind_unix(path_, 0660);
  ASSERT_TRUE(bound.has_value()) << bound.error().message();
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0660U);
  const RunningServer server(
      [&](auto& io) { return Server::serve_unix(io, std::move(*bound), &may_control, routes()); });
  const UniqueFd fd = connect_unix(path_);
  ASSERT_TRUE(send_all(fd, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(receive_all(fd).ends_with("world"));
}

TEST_F(ControlSocket, RefusesInJson) {
  auto bound = bind_unix(path_, 0660);
  ASSERT_TRUE(bound.has_value());
  const RunningServer server(
      [&](auto& io) { return Server::serve_unix(io, std::move(*bound), &may_control, routes()); });
  const auto answer = [this](const std::string& request) {
    const UniqueFd fd = connect_unix(path_);
    EXPECT_TRUE(send_all(fd, request + "\r\nConnection: close\r\n\r\n"));
    return receive_all(fd);
  };
  EXPECT_TRUE(answer("GET /nope HTTP/1.1").ends_with("{\"ok\":false,\"error\":\"Not Found\"}"));
  EXPECT_TRUE(answer("GET /act HTTP/1.1").ends_with("{\"ok\":false,\"error\":\"Method Not Allowed\"}"));
  EXPECT_TRUE(answer("nonsense").ends_with("{\"ok\":false,\"error\":\"Bad Request\"}"));
}

TEST_F(ControlSocket, TurnsAwayAPeerThatIsNotAllowed) {
  auto bound = bind_unix(path_, 0660);
  ASSERT_TRUE(bound.has_value());
  PeerCredentials seen;
  const RunningServer server([&](auto& io) {
    return Server::serve_unix(
        io, std::move(*bound),
        [&seen](const PeerCredentials& peer) {
          seen = peer;
          return false;
        },
        routes());
  });
  const UniqueFd fd = connect_unix(path_);
  (void)send_all(fd, "POST /act HTTP/1.1\r\n\r\n");
  const std::string response = receive_all(fd);
  EXPECT_EQ(status_line(response), "HTTP/1.1 403 Forbidden");
  EXPECT_NE(response.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\n{\"ok\":false,\"error\":\"Forbidden\"}"));
  EXPECT_EQ(seen.uid, ::geteuid());
  EXPECT_EQ(seen.pid, ::getpid());
}

TEST_F(ControlSocket, ReplacesAStaleFile) {
  {
    ASSERT_TRUE(bind_unix(path_, 0660).has_value());
  }
  const auto again = bind_unix(path_, 0660);
  EXPECT_TRUE(again.has_value()) << again.error().message();
}

TEST_F(ControlSocket, IsRefusedWhileSomebodyAnswers) {
  const auto first = bind_unix(path_, 0660);
  ASSERT_TRUE(first.has_value());
  const auto second = bind_unix(path_, 0660);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, std::errc::address_in_use);
}

TEST_F(ControlSocket, IsRefusedOverAnOrdinaryFile) {
  std::filesystem::create_directory(path_);
  const auto bound = bind_unix(path_, 0660);
  ASSERT_FALSE(bound.has_value());
  EXPECT_NE(bound.error().message().find("is not a socket"), std::string::npos);
  EXPECT_FALSE(bind_unix(std::string(200, 'x'), 0660).has_value());
}

TEST(MayControl, IsRootOurUserOrAMemberOfOurGroup) {
  const uid_t stranger = ::geteuid() + 12345;
  const gid_t strange_group = ::getegid() + 12345;
  EXPECT_TRUE(may_control({0, strange_group, 1, {}}));
  EXPECT_TRUE(may_control({::geteuid(), strange_group, 1, {}}));
  EXPECT_TRUE(may_control({stranger, ::getegid(), 1, {}}));
  EXPECT_TRUE(may_control({stranger, strange_group, 1, {strange_group, ::getegid()}}));
  EXPECT_FALSE(may_control({stranger, strange_group, 1, {strange_group}}));
}

TEST(RequestParameter, TakesTheFirstOfItsNameAndRefusesBrokenEscapes) {
  EXPECT_EQ(Request({"GET", "/", "a=1&b=2&a=3"}).parameter("a"), "1");
  EXPECT_EQ(Request({"GET", "/", "flag&b=2"}).parameter("flag"), "");
  EXPECT_EQ(Request({"GET", "/", "ab=1"}).parameter("a"), std::nullopt);
  EXPECT_EQ(Request({"GET", "/", "a=%4"}).parameter("a"), std::nullopt);
  EXPECT_EQ(Request({"GET", "/", "a=%zz"}).parameter("a"), std::nullopt);
  EXPECT_EQ(Request({"GET", "/", ""}).parameter("a"), std::nullopt);
}

}  // namespace
}  // namespace fastlogd::http
