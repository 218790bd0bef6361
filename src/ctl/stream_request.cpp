#include "ctl/stream_request.hpp"

#include <fmt/format.h>

#include "ctl/control_client.hpp"
#include "ctl/reply.hpp"

namespace fastlogd::ctl {

ExitCode request_for_stream(const TargetOptions& options, const std::string& verb) {
  TargetOptions daemon = options;
  daemon.socket = control_socket_path(options);
  const std::string stream = choose_stream(daemon).name;  // of those it has, whatever a file says by now
  const std::string target = fmt::format("/{}?stream={}", verb, percent_encoded(stream));
  const ParsedReply reply = parse_reply(control_request(daemon.socket, "POST", target));
  if (reply.ok) return ExitCode::done;
  fmt::print(stderr, "fastlogctl: {} {}: {}\n", verb, stream, reply.error);
  return ExitCode::nothing_found;
}

}  // namespace fastlogd::ctl
