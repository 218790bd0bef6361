// A server with a few routes that runs beside a test, and what the test asks it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "http/server.hpp"
#include "unit/http/client.hpp"

namespace fastlogd::http::test {

/// What /never has been asked for: how often, and the last answer to it that is still owed.
struct Owed {
  std::atomic<int> asked{0};
  Reply reply;
};

inline std::vector<Route> routes(Owed* owed = nullptr) {
  return {
      {"GET", "/hello", [](const Request&, const Reply& reply) { reply({200, "text/plain", "world"}); }},
      {"GET", "/echo",
       [](const Request& request, const Reply& reply) {
         reply({200, "text/plain", request.parameter("say").value_or("nothing")});
       }},
      {"POST", "/act", [](const Request&, const Reply& reply) { reply({422, "application/json", "{}"}); }},
      {"GET", "/never",
       [owed](const Request&, Reply reply) {
         if (owed == nullptr) return;
         owed->reply = std::move(reply);
         owed->asked.fetch_add(1);
       }},
  };
}

/// A server on a thread of its own, stopped and destroyed on that thread.
class RunningServer {
 public:
  using Make = std::function<Result<std::unique_ptr<Server>>(boost::asio::io_context&)>;
  explicit RunningServer(const Make& make) : guard_(io_.get_executor()) {
    auto made = make(io_);
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message());
    if (made) server_ = std::move(*made);
    thread_ = std::thread([this] { io_.run(); });
  }
  explicit RunningServer(ServerLimits limits = {}, Owed* owed = nullptr)
      : RunningServer(
            [&](auto& io) { return Server::listen_tcp(io, "127.0.0.1", 0, routes(owed), limits); }) {}
  ~RunningServer() {
    post([this] { server_.reset(); });
    guard_.reset();
    thread_.join();
  }
  void post(std::function<void()> work) { boost::asio::post(io_, std::move(work)); }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

inline std::string ask(std::uint16_t port, const std::string& request) {
  const UniqueFd fd = connect_tcp(port);
  EXPECT_TRUE(send_all(fd, request));
  return receive_all(fd);
}

inline bool wait_until_asked(const Owed& owed, int times = 1) {
  for (int i = 0; i < 10000 && owed.asked < times; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return owed.asked == times;
}

inline std::string status_line(const std::string& response) {
  return response.substr(0, response.find("\r\n"));
}

}  // namespace fastlogd::http::test
