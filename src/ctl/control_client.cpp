#include "ctl/control_client.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "ctl/reply.hpp"

namespace fastlogd::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;

constexpr std::uint64_t kReplyBytesMax = std::uint64_t{64} << 20;

/// Connect, write, read, each within the same time limit. Owns everything the steps refer to.
class Exchange {
 public:
  Exchange(const std::string& socket_path, http::verb method, const std::string& target)
      : stream_(io_), endpoint_(socket_path), request_(method, target, 11) {
    request_.set(http::field::host, "fastlogd");
    request_.set(http::field::connection, "close");
    request_.prepare_payload();
    parser_.body_limit(kReplyBytesMax);
  }

  ControlReply run() {
    stream_.expires_after(kControlTimeout);
    stream_.async_connect(endpoint_, [this](beast::error_code error) {
      if (!failed(error)) write();
    });
    io_.run();
    if (error_) throw beast::system_error(error_);
    return {parser_.get().result_int(), std::move(parser_.get().body())};
  }

 private:
  bool failed(beast::error_code error) {
    error_ = error;
    return static_cast<bool>(error);
  }
  void write() {
    http::async_write(stream_, request_, [this](beast::error_code error, std::size_t) {
      if (!failed(error)) read();
    });
  }
  void read() {
    http::async_read(stream_, buffer_, parser_,
                     [this](beast::error_code error, std::size_t) { failed(error); });
  }

  asio::io_context io_;
  beast::basic_stream<Protocol> stream_;
  Protocol::endpoint endpoint_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
};

}  // namespace

ControlReply control_request(const std::string& socket_path, const std::string& method,
                             const std::string& target) {
  try {
    return Exchange(socket_path, http::string_to_verb(method), target).run();
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::access_denied) {
      throw Failure(ExitCode::usage,
                    fmt::format("fastlogd was not asked: {}: {}; root, the daemon's user and its group may",
                                socket_path, error.code().message()));
    }
    throw NoAnswer(fmt::format("no answer from fastlogd on {}: {}", socket_path, error.code().message()));
  }
}

std::string ask_status(const std::string& socket_path) {
  ControlReply reply = control_request(socket_path, "GET", "/status");
  if (reply.status != 200) {
    throw Failure(ExitCode::nothing_found,
                  fmt::format("no status from fastlogd on {}: {}", socket_path, parse_reply(reply).error));
  }
  return std::move(reply.body);
}

std::string percent_encoded(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace fastlogd::ctl
