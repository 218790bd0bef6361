// Where a sending command sends to: its options, and the listener that the configuration names.
#pragma once

#include <cstdint>
#include <string>

#include "ctl/message_sink.hpp"
#include "ctl/target.hpp"

namespace CLI {
class App;
}

namespace fastlogd::ctl {

struct SinkArguments {
  TargetOptions target;
  std::string unix_stream, unix_datagram, tcp, udp;
};

enum class SinkUse : std::uint8_t {
  any,
  acknowledged,  ///< a stream on which the native protocol is spoken
};

/// Adds --unix-stream (--socket), --unix-datagram, --tcp, --udp, --config, of which one may be given, and --stream.
void add_sink_arguments(CLI::App& command, SinkArguments& arguments);

/// What is named, or else the configuration's first fitting listener (of --stream, if that is given): local ones and
/// streams are preferred. Throws Failure if there is none, and for --stream beside what is named.
[[nodiscard]] SinkAddress sink_address(const SinkArguments& arguments, SinkUse use);

}  // namespace fastlogd::ctl
