#include "daemon/routes.hpp"

#include <cctype>
#include <chrono>
#include <optional>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "metrics/registry.hpp"
#include "view/utf8.hpp"

namespace fastlogd::daemon {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kSyncTimeout{20};
constexpr const char* kJson = "application/json";

http::Response text(unsigned status, std::string body) {
  return {status, "text/plain; charset=utf-8", std::move(body)};
}

http::Response json_response(unsigned status, const json::object& body) {
  return {status, kJson, view::to_valid_utf8(json::serialize(body))};  // it may repeat any bytes
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

/// The one parameter that a route takes, nothing if it is left out. These requests change things, so what isn't
/// understood to the last word is refused: a misspelt dry_run must not reload.
Result<std::optional<std::string>> only_parameter(const http::Request& request, std::string_view key) {
  const auto parameters = request.parameters();
  if (!parameters) return invalid("the query holds a broken % escape");
  std::optional<std::string> found;
  for (const auto& [name, value] : *parameters) {
    if (name != key) return invalid(fmt::format("unknown parameter {}; there is: {}", name, key));
    if (found) return invalid(fmt::format("{} is given twice", key));
    found = value;
  }
  return found;
}

Result<bool> truth_of(std::string_view key, const std::string& text) {
  std::string word = text;
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (word == "1" || word == "true" || word == "yes") return true;
  if (word == "0" || word == "false" || word == "no") return false;
  return invalid(fmt::format("{} is 1, true or yes, or 0, false or no, not '{}'", key, text));
}

/// Left out, it is no.
Result<bool> dry_run_of(const http::Request& request) {
  const auto text = only_parameter(request, "dry_run");
  if (!text) return text.error();
  return *text ? truth_of("dry_run", **text) : false;
}

/// Left out, the stream is main.
Result<std::string> stream_of(const http::Request& request) {
  const auto name = only_parameter(request, "stream");
  if (!name) return name.error();
  return name->value_or("main");
}

http::Handler reload_handler(const Questions& questions) {
  return [questions](const http::Request& request, const http::Reply& reply) {
    const auto dry_run = dry_run_of(request);
    if (!dry_run) return reply(refusal(400, dry_run.error().context));
    reply(reload_response(questions.reload(*dry_run)));
  };
}

/// A request that had come with the signal is answered behind it, and what it would change is being taken down by then.
http::Handler unless_stopping(const Questions& questions, http::Handler handler) {
  return [ready = questions.ready, handler = std::move(handler)](const http::Request& request,
                                                                 http::Reply reply) {
    if (!ready()) return reply(refusal(503, "fastlogd is stopping"));
    handler(request, std::move(reply));
  };
}

http::Handler sync_handler(const Questions& questions) {
  return [questions](const http::Request& request, http::Reply reply) {
    const auto name = stream_of(request);
    if (!name) return reply(refusal(400, name.error().context));
    const auto store = questions.stream(*name);
    if (!store) return reply(refusal(404, "no stream " + *name));
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
    const auto name = stream_of(request);
    if (!name) return reply(refusal(400, name.error().context));
    if (!questions.rotate(*name)) return reply(refusal(404, "no stream " + *name));
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
  routes.push_back({"POST", "/reload", unless_stopping(questions, reload_handler(questions))});
  routes.push_back({"POST", "/rotate", unless_stopping(questions, rotate_handler(questions))});
  routes.push_back({"POST", "/sync", unless_stopping(questions, sync_handler(questions))});
  return routes;
}

}  // namespace fastlogd::daemon
