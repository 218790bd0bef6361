#include "ctl/stream_request.hpp"

#include <fmt/format.h>

#include "ctl/control_client.hpp"
#include "ctl/reply.hpp"

namespace fastlogd::ctl {

ExitCode request_for_stream(const TargetOptions& options, const std::string& verb) {
  // With --socket alone there is no configuration to look a name up in; the daemon knows its streams.
  const std::string stream = options.socket.empty()   ? choose_stream(options).name
                             : options.stream.empty() ? "main"
                                                      : options.stream;
  const std::string target = fmt::format("/{}?stream={}", verb, percent_encoded(stream));
  const ParsedReply reply = parse_reply(control_request(control_socket_path(options), "POST", target));
  if (reply.ok) return ExitCode::done;
  fmt::print(stderr, "fastlogctl: {} {}: {}\n", verb, stream, reply.error);
  return ExitCode::nothing_found;
}

}  // namespace fastlogd::ctl
