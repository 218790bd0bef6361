#include "daemon/routes.hpp"

#include <chrono>
#include <utility>

#include <boost/json.hpp>

#include "metrics/registry.hpp"

namespace fastlogd::daemon {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kSyncTimeout{20};
constexpr const char* kJson = "application/json";

http::Response text(unsigned status, std::string body) {
  return {status, "text/plain; charset=utf-8", std::move(body)};
}

http::Response json_response(unsigned status, const json::object& body) {
  return {status, kJson, json::serialize(body)};
}

http::Response refusal(unsigned status, std::string why) {
  return json_response(status, {{"ok", false}, {"error", std::move(why)}});
}

json::array strings(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& line : texts) array.emplace_back(line);
  return array;
}

http::Response reload_response(const ReloadResult& result) {
  if (!result.ok) return json_response(422, {{"ok", false}, {"problems", strings(result.problems)}});
  return json_response(200, {{"ok", true},
                             {"generation", result.generation},
                             {"changes", strings(result.changes)},
                             {"restart_needed", strings(result.restart_needed)}});
}

/// Left out, the stream is main.
std::string stream_of(const http::Request& request) {
  return request.parameter("stream").value_or("main");
}

http::Handler sync_handler(const Questions& questions) {
  return [questions](const http::Request& request, http::Reply reply) {
    const std::string name = stream_of(request);
    const auto store = questions.stream(name);
    if (!store) return reply(refusal(404, "no stream " + name));
    const auto response = std::make_shared<http::Response>();
    questions.in_background(
        [store, response] {
          const auto synced = store->sync(kSyncTimeout);
          *response = synced ? json_response(200, {{"ok", true}}) : refusal(500, synced.error().message());
        },
        [response, reply = std::move(reply)] { reply(std::move(*response)); });
  };
}

http::Handler rotate_handler(const Questions& questions) {
  return [questions](const http::Request& request, const http::Reply& reply) {
    const std::string name = stream_of(request);
    if (!questions.rotate(name)) return reply(refusal(404, "no stream " + name));
    reply(json_response(200, {{"ok", true}}));
  };
}

}  // namespace

std::vector<http::Route> public_routes(const Questions& questions) {
  return {
      {"GET", "/metrics",
       [questions](const http::Request&, const http::Reply& reply) {
         reply({200, metrics::Registry::kContentType, questions.metrics()});
       }},
      {"GET", "/healthz",
       [questions](const http::Request&, const http::Reply& reply) {
         const Condition condition = questions.condition();
         reply(text(judge(condition).alive ? 200 : 503, health_page(condition)));
       }},
      {"GET", "/readyz",
       [questions](const http::Request&, const http::Reply& reply) {
         reply(questions.ready() ? text(200, "ok\n") : text(503, "stopping\n"));
       }},
  };
}

std::vector<http::Route> control_routes(const Questions& questions) {
  std::vector<http::Route> routes = public_routes(questions);
  routes.push_back({"GET", "/status", [questions](const http::Request&, const http::Reply& reply) {
                      reply({200, kJson, questions.status()});
                    }});
  routes.push_back({"POST", "/reload", [questions](const http::Request& request, const http::Reply& reply) {
                      const bool dry_run = request.parameter("dry_run").value_or("0") == "1";
                      reply(reload_response(questions.reload(dry_run)));
                    }});
  routes.push_back({"POST", "/rotate", rotate_handler(questions)});
  routes.push_back({"POST", "/sync", sync_handler(questions)});
  return routes;
}

}  // namespace fastlogd::daemon
