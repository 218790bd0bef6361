// `fastlogctl send --ack`: lines in the native protocol, and what the daemon says of them.
#pragma once

#include <optional>
#include <string>

#include "ctl/exit_code.hpp"
#include "ctl/message_sink.hpp"
#include "ctl/syslog_message.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::ctl {

struct AcknowledgedSend {
  SinkAddress address;
  MessageHeader header;
  wire::Wanted wanted = wire::Wanted::stored;
  bool print_acks = false;  ///< to standard output, each as soon as it has come
  std::optional<std::string>
      text;  ///< one message, which may be empty; nothing: each line of `input_fd` is one
  int input_fd = 0;
};

/// Returns when everything has been acknowledged (done), something was refused or the connection broke before
/// (nothing_found, with the reason on standard error). A number that is printed means: this record and all before it.
[[nodiscard]] ExitCode send_acknowledged(const AcknowledgedSend& send);

}  // namespace fastlogd::ctl
