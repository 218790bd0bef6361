// The one unit that includes Beast. A session reads a request, hands it to its route, writes the answer and
// reads the next one; every step has its own bound in time.
#include "http/server.hpp"

#include <algorithm>
#include <list>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/diagnostics.hpp"
#include "http/unix_socket.hpp"

namespace fastlogd::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using boost::system::error_code;
using Authorize = std::function<bool(const PeerCredentials&)>;

struct Shared {
  std::vector<Route> routes;
  ServerLimits limits;
  Authorize allowed;  ///< empty: everybody
  bool refuses_in_json = false;
  unsigned open_connections = 0;

  /// The words of the status, which need no escapes.
  [[nodiscard]] Response refusal(wire::status status) const {
    const auto words = static_cast<std::string>(wire::obsolete_reason(status));
    const auto code = static_cast<unsigned>(status);
    if (refuses_in_json) return {code, "application/json", R"({"ok":false,"error":")" + words + "\"}"};
    return {.status = code, .body = words + "\n"};
  }
};

wire::status status_for(error_code error) {
  if (error == wire::error::header_limit || error == wire::error::buffer_overflow) {
    return wire::status::request_header_fields_too_large;
  }
  if (error == wire::error::body_limit) return wire::status::payload_too_large;
  return wire::status::bad_request;
}

/// What a request is answered with when no route takes it: 404, or 405 with the methods that would do.
struct Refusal {
  Response response;
  std::string allow;  ///< for 405
};

const Route* find_route(const Shared& shared, std::string_view method, std::string_view path,
                        Refusal& refusal) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : shared.routes) {
    if (route.path != path) continue;
    if (route.method == wanted) return &route;
    if (!refusal.allow.empty()) refusal.allow += ", ";
    refusal.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  refusal.response =
      shared.refusal(refusal.allow.empty() ? wire::status::not_found : wire::status::method_not_allowed);
  return nullptr;
}

/// How long a body may be: the route's own bound, or that of the ones that nobody wants.
std::size_t body_limit(const Shared& shared, std::string_view method, std::string_view path) {
  for (const Route& route : shared.routes) {
    if (route.method == method && route.path == path && route.body_bytes_max != 0)
      return route.body_bytes_max;
  }
  return shared.limits.body_bytes_max;
}

template <class Protocol>
class Session : public std::enable_shared_from_this<Session<Protocol>> {
 public:
  using Socket = asio::basic_stream_socket<Protocol, asio::io_context::executor_type>;
  using Stream = beast::basic_stream<Protocol, asio::io_context::executor_type>;

  Session(Socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)), shared_(std::move(shared)), reply_timer_(stream_.get_executor()) {
    ++shared_->open_connections;
  }
  ~Session() { --shared_->open_connections; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    if (shared_->allowed) {
      const auto peer = peer_credentials(stream_.socket().native_handle());
      if (!peer || !shared_->allowed(*peer)) return refuse(wire::status::forbidden);
    }
    read();
  }

  /// Answers without having read anything, and closes.
  void refuse(wire::status status) {
    version_ = 11;
    keep_alive_ = false;
    write(shared_->refusal(status));
  }

  /// Between requests, in the middle of sending one, or answered and only waited for to close.
  [[nodiscard]] bool is_idle() const { return reading_ || lingering_; }

  void close() {
    reading_ = lingering_ = false;
    reply_timer_.cancel();
    error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  auto bind(void (Session::*step)(error_code)) {
    return [self = this->shared_from_this(), step](error_code error, std::size_t = 0) {
      ((*self).*step)(error);
    };
  }

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->limits.header_bytes_max));
    parser_->body_limit(boost::none);  // known when the route is
    stream_.expires_after(shared_->limits.request_timeout);
    reading_ = true;
    head_ = false;
    wire::async_read_header(stream_, buffer_, *parser_, bind(&Session::on_header));
  }

  void on_header(error_code error) {
    if (error) return on_read(error);
    const auto& message = parser_->get();
    const std::string_view method(message.method_string().data(), message.method_string().size());
    const std::size_t limit = body_limit(*shared_, method, path_of(message));
    const auto length = parser_->content_length();
    if (length && *length > limit) return on_read(wire::make_error_code(wire::error::body_limit));
    parser_->body_limit(limit);
    wire::async_read(stream_, buffer_, *parser_, bind(&Session::on_read));
  }

  template <class Message>
  static std::string_view path_of(const Message& message) {
    const std::string_view target(message.target().data(), message.target().size());
    return target.substr(0, target.find('?'));
  }

  void on_read(error_code error) {
    reading_ = false;
    stream_.expires_never();
    if (!stream_.socket().is_open()) return;  // closed while this was on its way
    if (!error) return route();
    // A peer that is gone or silent gets nothing; one that sends nonsense is told so.
    const bool is_parse_error =
        error.category() == wire::make_error_code(wire::error::bad_version).category() &&
        error != wire::error::end_of_stream && error != wire::error::partial_message;
    if (!is_parse_error) return close();
    version_ = 11;
    keep_alive_ = false;
    write(shared_->refusal(status_for(error)));
  }

  void route() {
    const auto& message = parser_->get();
    version_ = message.version();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == wire::verb::head;
    const std::string_view target(message.target().data(), message.target().size());
    Request request;
    request.method = std::string(message.method_string());
    request.path = std::string(path_of(message));
    if (request.path.size() < target.size())
      request.query = std::string(target.substr(request.path.size() + 1));
    Refusal refusal;
    const Route* const found = find_route(*shared_, request.method, request.path, refusal);
    if (found == nullptr) return write(std::move(refusal.response), refusal.allow);
    if (found->body_bytes_max != 0) request.body = std::move(parser_->get().body());
    call(*found, request);
  }

  /// The handler may answer now or later, or never: then the peer hears 504.
  void call(const Route& found, const Request& request) {
    const bool own = found.reply_timeout.count() != 0;
    reply_timer_.expires_after(own ? found.reply_timeout : shared_->limits.reply_timeout);
    const std::uint64_t turn = ++turn_;
    reply_timer_.async_wait([self = this->shared_from_this(), turn](error_code error) {
      if (!error) self->answer(turn, self->shared_->refusal(wire::status::gateway_timeout));
    });
    found.handler(request, [weak = this->weak_from_this(), turn](Response response) {
      if (const auto self = weak.lock()) self->answer(turn, std::move(response));
    });
  }

  /// Only the first answer to a request counts.
  void answer(std::uint64_t turn, Response response) {
    if (turn != turn_ || !stream_.socket().is_open()) return;
    ++turn_;
    reply_timer_.cancel();
    write(std::move(response));
  }

  void write(Response response, const std::string& allow = {}) {
    response_.emplace(static_cast<wire::status>(response.status), version_);
    response_->set(wire::field::server, "fastlogd");
    response_->set(wire::field::content_type, response.content_type);
    response_->set(wire::field::cache_control, "no-store");
    if (!allow.empty()) response_->set(wire::field::allow, allow);
    response_->keep_alive(keep_alive_);
    response_->content_length(response.body.size());
    if (!head_) response_->body() = std::move(response.body);
    stream_.expires_after(shared_->limits.write_timeout);
    wire::async_write(stream_, *response_, bind(&Session::on_write));
  }

  void on_write(error_code error) {
    if (error) return close();
    if (keep_alive_) return read();
    // Half-close and let the peer finish: closing with unread bytes would reset the connection and could take
    // our answer with it.
    stream_.socket().shutdown(asio::socket_base::shutdown_send, error);
    stream_.expires_after(shared_->limits.write_timeout);
    lingering_ = true;
    linger();
  }

  void linger() { stream_.async_read_some(asio::buffer(discarded_), bind(&Session::on_discarded)); }

  void on_discarded(error_code error) {
    if (error || ++discards_ > kDiscardsMax) return close();
    linger();
  }

  static constexpr unsigned kDiscardsMax = 64;
  // Neither limit of the parser counts a chunk's size line, its extensions, or trailers.
  static constexpr std::size_t kUnparsedBytesMax = std::size_t{64} * 1024;

  Stream stream_;
  std::shared_ptr<Shared> shared_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      reply_timer_;
  beast::flat_buffer buffer_{kUnparsedBytesMax};
  std::optional<wire::request_parser<wire::string_body>> parser_;
  std::optional<wire::response<wire::string_body>> response_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool reading_ = false;
  bool lingering_ = false;
  std::uint64_t turn_ = 0;  ///< odd while a handler owes an answer
  std::array<char, 1024> discarded_{};
  unsigned discards_ = 0;
};

template <class Protocol>
class Acceptor final : public Server {
 public:
  using Listening = asio::basic_socket_acceptor<Protocol, asio::io_context::executor_type>;

  Acceptor(asio::io_context& io, Listening listening, std::shared_ptr<Shared> shared)
      : listening_(std::move(listening)), retry_(io), shared_(std::move(shared)) {}
  ~Acceptor() override {
    *alive_ = false;
    for (const auto& weak : sessions_) {
      if (const auto session = weak.lock()) session->close();
    }
  }

  [[nodiscard]] unsigned open_connections() const override { return shared_->open_connections; }
  [[nodiscard]] std::uint16_t port() const override {
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
      error_code error;
      return listening_.local_endpoint(error).port();
    } else {
      return 0;
    }
  }

  void accept() {
    listening_.async_accept(
        [this, alive = alive_](error_code error, typename Session<Protocol>::Socket socket) {
          if (!*alive || error == asio::error::operation_aborted) return;
          if (error) return pause(error);
          admit(std::move(socket));
          accept();
        });
  }

 private:
  void admit(typename Session<Protocol>::Socket socket) {
    std::erase_if(sessions_, [](const auto& weak) { return weak.expired(); });
    const unsigned bound = shared_->limits.connections_max;
    const bool full = shared_->open_connections >= bound && !make_room();
    // A few more than allowed may be told that we are full; beyond that they are just closed.
    if (full && shared_->open_connections >= 2 * bound) return;
    auto session = std::make_shared<Session<Protocol>>(std::move(socket), shared_);
    sessions_.push_back(session);
    if (full) {
      session->refuse(wire::status::service_unavailable);
    } else {
      session->start();
    }
  }

  /// A crowd of silent connections must not keep a scrape out: the one that came first and is idle goes.
  bool make_room() {
    for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
      const auto session = it->lock();
      if (!session || !session->is_idle()) continue;
      session->close();
      sessions_.erase(it);
      return true;
    }
    return false;
  }

  /// Out of descriptors, mostly: trying again at once would spin.
  void pause(error_code error) {
    static diag::RateLimit limit;
    limit.log(diag::Level::warning, "http: accept failed: {}", error.message());
    retry_.expires_after(std::chrono::milliseconds(200));
    retry_.async_wait([this, alive = alive_](error_code cancelled) {
      if (*alive && !cancelled) accept();
    });
  }

  Listening listening_;
  asio::steady_timer retry_;
  std::shared_ptr<Shared> shared_;
  std::list<std::weak_ptr<Session<Protocol>>> sessions_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Error error_from(const error_code& code, std::string context) {
  return Error{std::error_code(code.value(), std::system_category()), std::move(context)};
}

template <class Protocol>
std::unique_ptr<Server> serve(asio::io_context& io, typename Acceptor<Protocol>::Listening listening,
                              Shared shared) {
  auto server = std::make_unique<Acceptor<Protocol>>(io, std::move(listening),
                                                     std::make_shared<Shared>(std::move(shared)));
  server->accept();
  return server;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen_tcp(asio::io_context& io, const std::string& address,
                                                   std::uint16_t port, std::vector<Route> routes,
                                                   ServerLimits limits) {
  using asio::ip::tcp;
  const std::string where = "http " + address + ":" + std::to_string(port);
  error_code error;
  const auto parsed = asio::ip::make_address(address, error);
  if (error) return error_from(error, where);
  const tcp::endpoint endpoint(parsed, port);
  Acceptor<tcp>::Listening listening(io.get_executor());
  listening.open(endpoint.protocol(), error);
  if (!error) listening.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) listening.bind(endpoint, error);
  if (!error) listening.listen(asio::socket_base::max_listen_connections, error);
  if (error) return error_from(error, where);
  return serve<tcp>(io, std::move(listening), Shared{std::move(routes), limits, nullptr});
}

Result<std::unique_ptr<Server>> Server::serve_unix(asio::io_context& io, UniqueFd listening,
                                                   Authorize allowed, std::vector<Route> routes,
                                                   ServerLimits limits) {
  using local = asio::local::stream_protocol;
  error_code error;
  Acceptor<local>::Listening acceptor(io.get_executor());
  acceptor.assign(local(), listening.get(), error);
  if (error) return error_from(error, "control socket");
  (void)listening.release();
  return serve<local>(io, std::move(acceptor), Shared{std::move(routes), limits, std::move(allowed), true});
}

}  // namespace fastlogd::http
