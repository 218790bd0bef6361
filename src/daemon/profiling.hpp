// Profiles of the running daemon, in the format that gperftools writes and `go tool pprof` reads.
//
// No part of gperftools is linked. Its CPU profiler is loaded at the first request (dlopen), and the heap profile is there
// only if its allocator was preloaded: a daemon that nobody profiles has neither in its memory. While nothing is asked
// for, the CPU profiler costs nothing; the heap profiler writes down every allocation from the moment it is allowed.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/daemon_options.hpp"
#include "http/server.hpp"

namespace fastlogd::daemon {

inline constexpr std::chrono::seconds kProfileSecondsMax{300};
inline constexpr std::chrono::seconds kProfileSecondsDefault{30};

/// "1" to "300", nothing: the default. Nothing comes back if it is neither.
[[nodiscard]] std::optional<std::chrono::seconds> parse_profile_seconds(
    const std::optional<std::string>& text);

/// Main thread only, which is free while a profile runs: a timer ends it.
class Profiling {
 public:
  explicit Profiling(boost::asio::io_context& io) : timer_(io) {}

  /// What the configuration says now.
  void allow(ProfilingAccess access);
  /// GET /debug/pprof/profile and heap, GET and POST symbol, for the server that `access` names. 404 while that is not allowed.
  void add_routes(std::vector<http::Route>& routes, ProfilingAccess access);
  /// Answers with what a running profile has, before its time is over.
  void end();

 private:
  void profile(const http::Request& request, http::Reply reply);
  void heap(const http::Reply& reply);
  [[nodiscard]] Result<> start();
  [[nodiscard]] http::Response finish();

  boost::asio::steady_timer timer_;
  ProfilingAccess allowed_ = ProfilingAccess::off;
  UniqueFd file_;  ///< in memory; open while a profile runs
  http::Reply reply_;
};

}  // namespace fastlogd::daemon
