// fastlogctl send: a sender like logger(1), for every listener fastlogd has.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.hpp"
#include "base/host_name.hpp"
#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/message_sink.hpp"
#include "ctl/syslog_message.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {
namespace {

struct SendArguments {
  TargetOptions target;
  std::string unix_stream, unix_datagram, tcp, udp;
  std::string priority = "user.notice";
  std::string tag;
  std::string file;
  bool with_pid = false;
  bool rfc5424 = false, rfc3164 = false, raw = false;
  bool octet_counting = false;
  std::vector<std::string> words;
};

/// The configuration's first listener, local ones and streams preferred.
SinkAddress default_address(const TargetOptions& target) {
  using Transport = ingest::ListenerTransport;
  const auto config = load_config(target);
  const auto first = [&config](Transport transport) -> const ingest::ListenerOptions* {
    for (const auto& listener : config->listeners) {
      if (listener.transport == transport) return &listener;
    }
    return nullptr;
  };
  const auto inet = [](const ingest::ListenerOptions& listener) {
    const bool ipv6 = listener.address.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", listener.address, ipv6 ? "]" : "", listener.port);
  };
  if (const auto* found = first(Transport::unix_stream)) return {SinkKind::unix_stream, found->path};
  if (const auto* found = first(Transport::unix_datagram)) return {SinkKind::unix_datagram, found->path};
  if (const auto* found = first(Transport::tcp)) return {SinkKind::tcp, inet(*found)};
  if (const auto* found = first(Transport::udp)) return {SinkKind::udp, inet(*found)};
  throw Failure(ExitCode::usage, "the configuration has no listener; name a socket");
}

SinkAddress address_of(const SendArguments& arguments) {
  if (!arguments.unix_stream.empty()) return {SinkKind::unix_stream, arguments.unix_stream};
  if (!arguments.unix_datagram.empty()) return {SinkKind::unix_datagram, arguments.unix_datagram};
  if (!arguments.tcp.empty()) return {SinkKind::tcp, arguments.tcp};
  if (!arguments.udp.empty()) return {SinkKind::udp, arguments.udp};
  return default_address(arguments.target);
}

MessageHeader header_of(const SendArguments& arguments) {
  MessageHeader header;
  if (arguments.rfc3164) header.format = MessageFormat::rfc3164;
  if (arguments.raw) header.format = MessageFormat::raw;
  const auto priority = parse_priority(arguments.priority);
  if (!priority) throw Failure(ExitCode::usage, priority.error().context);
  header.priority = *priority;
  const char* user = std::getenv("USER");
  header.tag = !arguments.tag.empty()             ? arguments.tag
               : user != nullptr && *user != '\0' ? user
                                                  : "fastlogctl";
  for (const char c : header.tag) {
    if (c <= ' ' || c >= 0x7f)
      throw Failure(ExitCode::usage, "a tag has no spaces and no special characters");
  }
  if (arguments.with_pid) header.pid = std::to_string(::getpid());
  header.host = local_host_name();
  return header;
}

/// Formats and sends line after line.
class Sender {
 public:
  Sender(MessageSink& sink, MessageHeader header) : sink_(sink), header_(std::move(header)) {}

  void send(std::string_view text) {
    message_.clear();
    append_message(message_, header_, text, realtime_ns());
    sink_.send(message_);
  }

  /// Each line of the file a message; what has been read is sent before more is waited for.
  void send_lines(int fd) {
    std::vector<char> buffer(std::size_t{64} * 1024);
    std::string line;
    for (;;) {
      const ssize_t n = ::read(fd, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw Failure(ExitCode::usage, fmt::format("reading the input: {}", std::strerror(errno)));
      if (n == 0) break;
      std::string_view read(buffer.data(), static_cast<std::size_t>(n));
      for (std::size_t end = 0; (end = read.find('\n')) != std::string_view::npos;
           read.remove_prefix(end + 1)) {
        line += read.substr(0, end);
        send(line);
        line.clear();
      }
      line += read;
      sink_.flush();
    }
    if (!line.empty()) send(line);
  }

 private:
  MessageSink& sink_;
  MessageHeader header_;
  std::string message_;
};

ExitCode send(const SendArguments& arguments) {
  const std::string text = fmt::format("{}", fmt::join(arguments.words, " "));
  const bool count = arguments.octet_counting || (!arguments.raw && text.find('\n') != std::string::npos);
  MessageHeader header = header_of(arguments);
  MessageSink sink(address_of(arguments), count);
  Sender sender(sink, std::move(header));
  if (!arguments.words.empty()) {
    sender.send(text);
  } else if (arguments.file.empty() || arguments.file == "-") {
    sender.send_lines(STDIN_FILENO);
  } else {
    const UniqueFd file(::open(arguments.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw Failure(ExitCode::usage, fmt::format("{}: {}", arguments.file, std::strerror(errno)));
    sender.send_lines(file.get());
  }
  sink.close();
  return ExitCode::done;
}

void add_addresses(CLI::App& command, SendArguments& arguments) {
  auto* sockets = command.add_option_group("Where to", "Default: the configuration's first listener");
  sockets->add_option("--unix-stream", arguments.unix_stream, "Unix stream socket")->type_name("PATH");
  sockets->add_option("--unix-datagram", arguments.unix_datagram, "Unix datagram socket")->type_name("PATH");
  sockets->add_option("--tcp", arguments.tcp, "TCP")->type_name("HOST:PORT");
  sockets->add_option("--udp", arguments.udp, "UDP")->type_name("HOST:PORT");
  sockets->add_option("--config", arguments.target.config, "The daemon's configuration")
      ->type_name("FILE")
      ->capture_default_str();
  sockets->require_option(0, 1);
}

void add_formats(CLI::App& command, SendArguments& arguments) {
  auto* formats = command.add_option_group("How", "Default: RFC 5424");
  formats->add_flag("--rfc5424", arguments.rfc5424, "RFC 5424");
  formats->add_flag("--rfc3164", arguments.rfc3164, "RFC 3164, as syslog(3) writes it");
  formats->add_flag("--raw", arguments.raw, "The text alone");
  formats->require_option(0, 1);
}

}  // namespace

void add_send(CLI::App& app, ExitCode& exit_code) {
  auto* command = app.add_subcommand("send", "Send messages, like logger(1)");
  auto arguments = std::make_shared<SendArguments>();
  add_addresses(*command, *arguments);
  add_formats(*command, *arguments);
  command->add_option("-p,--priority", arguments->priority, "facility.severity")
      ->type_name("PRIORITY")
      ->capture_default_str();
  command->add_option("-t,--tag", arguments->tag, "Identifier; default: the user's name")->type_name("NAME");
  command->add_flag("-i", arguments->with_pid, "State this process's id");
  command->add_flag("--octet-count", arguments->octet_counting,
                    "On a stream: a count before each message (RFC 6587)");
  command->add_option("-f,--file", arguments->file, "Each line of it a message; - or nothing: standard input")
      ->type_name("FILE");
  command->add_option("MESSAGE", arguments->words,
                      "The message; left out: lines of the file or standard input");
  command->callback([arguments, &exit_code] { exit_code = send(*arguments); });
}

}  // namespace fastlogd::ctl
