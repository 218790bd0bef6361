#include "ctl/sink_arguments.hpp"

#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ctl/failure.hpp"

namespace fastlogd::ctl {
namespace {

/// Why no listener of the configuration will do.
std::string why_no_listener(const config::Config& config, const std::string& stream, SinkUse use) {
  if (!stream.empty() && config.find_stream(stream) == nullptr) {
    std::vector<std::string> names;
    names.reserve(config.streams.size());
    for (const auto& one : config.streams) names.push_back(one.store.name);
    return fmt::format("no stream {}; there are: {}", stream, fmt::join(names, ", "));
  }
  const std::string feeding = stream.empty() ? "" : " that feeds stream " + stream;
  if (use == SinkUse::any) return fmt::format("the configuration has no listener{}; name a socket", feeding);
  return fmt::format(
      "the configuration has no stream listener{} that takes the native protocol; name a socket", feeding);
}

SinkAddress default_address(const TargetOptions& target, SinkUse use) {
  using Transport = ingest::ListenerTransport;
  const auto config = load_config(target);
  const auto first = [&](Transport transport) -> const ingest::ListenerOptions* {
    for (const auto& listener : config->listeners) {
      const bool fits = use == SinkUse::any || listener.format == ingest::ListenerFormat::automatic;
      const bool feeds = target.stream.empty() || listener.stream == target.stream;
      if (listener.transport == transport && fits && feeds) return &listener;
    }
    return nullptr;
  };
  const auto inet = [](const ingest::ListenerOptions& listener) {
    const bool ipv6 = listener.address.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", listener.address, ipv6 ? "]" : "", listener.port);
  };
  const auto address = [](SinkKind kind, std::string where, const ingest::ListenerOptions& listener) {
    return SinkAddress{.kind = kind,
                       .where = std::move(where),
                       .counted = listener.framing == ingest::ListenerFraming::octet_counting,
                       .raw = listener.format == ingest::ListenerFormat::raw};
  };
  const bool datagrams = use == SinkUse::any;
  if (const auto* found = first(Transport::unix_stream))
    return address(SinkKind::unix_stream, found->path, *found);
  const auto* const unix_datagram = datagrams ? first(Transport::unix_datagram) : nullptr;
  if (unix_datagram != nullptr) return address(SinkKind::unix_datagram, unix_datagram->path, *unix_datagram);
  if (const auto* found = first(Transport::tcp)) return address(SinkKind::tcp, inet(*found), *found);
  const auto* const udp = datagrams ? first(Transport::udp) : nullptr;
  if (udp != nullptr) return address(SinkKind::udp, inet(*udp), *udp);
  throw Failure(ExitCode::usage, why_no_listener(*config, target.stream, use));
}

}  // namespace

void add_sink_arguments(CLI::App& command, SinkArguments& arguments) {
  auto* sockets = command.add_option_group("Where to", "Default: a listener of the configuration, by kind");
  auto* config = command.add_option("--config", arguments.target.config, "The daemon's configuration")
                     ->type_name("FILE")
                     ->capture_default_str();
  auto* unix_stream =
      sockets->add_option("--unix-stream,--socket", arguments.unix_stream, "Unix stream socket");
  auto* unix_datagram =
      sockets->add_option("--unix-datagram", arguments.unix_datagram, "Unix datagram socket");
  auto* tcp = sockets->add_option("--tcp", arguments.tcp, "TCP");
  auto* udp = sockets->add_option("--udp", arguments.udp, "UDP");
  for (auto* path : {unix_stream, unix_datagram}) path->type_name("PATH")->excludes(config);
  for (auto* address : {tcp, udp}) address->type_name("HOST:PORT")->excludes(config);
  sockets->require_option(0, 1);
  command
      .add_option("--stream", arguments.target.stream, "Of the configuration's listeners one that feeds it")
      ->type_name("STREAM");
}

SinkAddress sink_address(const SinkArguments& arguments, SinkUse use) {
  const bool named = !arguments.unix_stream.empty() || !arguments.unix_datagram.empty() ||
                     !arguments.tcp.empty() || !arguments.udp.empty();
  if (named && !arguments.target.stream.empty()) {
    throw Failure(ExitCode::usage,
                  "--stream chooses among the configuration's listeners: a socket that is named feeds the "
                  "stream that its listener feeds");
  }
  if (!arguments.unix_stream.empty()) return {.kind = SinkKind::unix_stream, .where = arguments.unix_stream};
  if (!arguments.unix_datagram.empty())
    return {.kind = SinkKind::unix_datagram, .where = arguments.unix_datagram};
  if (!arguments.tcp.empty()) return {.kind = SinkKind::tcp, .where = arguments.tcp};
  if (!arguments.udp.empty()) return {.kind = SinkKind::udp, .where = arguments.udp};
  return default_address(arguments.target, use);
}

}  // namespace fastlogd::ctl
