// What the HTTP port and the control socket answer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "append/stream_store.hpp"
#include "daemon/health.hpp"
#include "daemon/reload.hpp"
#include "http/server.hpp"

namespace fastlogd::daemon {

/// What the routes ask the daemon; all called on the main thread.
struct Questions {
  std::function<bool()> ready;
  std::function<Condition()> condition;
  std::function<std::string()> metrics;
  std::function<std::string()> status;  ///< JSON
  std::function<ReloadResult(bool dry_run)> reload;
  std::function<std::shared_ptr<append::StreamStore>(std::string_view stream)> stream;
  std::function<bool(std::string_view stream)> rotate;  ///< false: no such stream
  /// Runs `work` on another thread, then `done` on the main thread. For what waits on a disk.
  std::function<void(std::function<void()> work, std::function<void()> done)> in_background;
};

/// GET /metrics, /healthz, /readyz.
[[nodiscard]] std::vector<http::Route> public_routes(const Questions& questions);

/// The public ones, and GET /status, POST /reload[?dry_run=1], POST /rotate?stream=, POST /sync?stream=.
/// Replies are JSON with "ok"; a refused reload is 422 with "problems", an unknown stream 404 with "error", a parameter
/// or value of one that these don't know 400 with "error", and nothing done.
[[nodiscard]] std::vector<http::Route> control_routes(const Questions& questions);

}  // namespace fastlogd::daemon
