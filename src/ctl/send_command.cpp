// fastlogctl send: a sender like logger(1), for every listener fastlogd has.
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.hpp"
#include "base/host_name.hpp"
#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/message_sink.hpp"
#include "ctl/send_acknowledged.hpp"
#include "ctl/sink_arguments.hpp"
#include "ctl/syslog_message.hpp"

namespace fastlogd::ctl {
namespace {

struct SendArguments {
  SinkArguments sink;
  std::string priority = "user.notice";
  std::string tag;
  std::string file;
  bool with_pid = false;
  bool rfc5424 = false, rfc3164 = false, raw = false;
  bool octet_counting = false;
  std::string ack;
  bool print_acks = false;
  std::vector<std::string> misplaced;  ///< words that only CLI11 takes for such
};

/// As logger(1): the user by name, else this program.
std::string default_tag() {
  const char* const user = std::getenv("USER");
  if (user != nullptr && *user != '\0') return user;
  const passwd* const entry = ::getpwuid(::getuid());  // NOLINT(concurrency-mt-unsafe): there is one thread
  return entry != nullptr && *entry->pw_name != '\0' ? entry->pw_name : "fastlogctl";
}

MessageHeader header_of(const SendArguments& arguments) {
  MessageHeader header;
  if (arguments.rfc3164) header.format = MessageFormat::rfc3164;
  if (arguments.raw) header.format = MessageFormat::raw;
  const auto priority = parse_priority(arguments.priority);
  if (!priority) throw Failure(ExitCode::usage, priority.error().context);
  header.priority = *priority;
  header.tag = !arguments.tag.empty() ? arguments.tag : default_tag();
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

/// Standard input, or the file that is named.
UniqueFd open_input(const SendArguments& arguments) {
  if (arguments.file.empty() || arguments.file == "-") return UniqueFd(::dup(STDIN_FILENO));
  UniqueFd file(::open(arguments.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw Failure(ExitCode::usage, fmt::format("{}: {}", arguments.file, std::strerror(errno)));
  return file;
}

/// `text`: the message of the command line, if there is one.
ExitCode send_with_acknowledgements(const SendArguments& arguments, std::optional<std::string> text) {
  if (arguments.rfc5424 || arguments.rfc3164 || arguments.raw || arguments.octet_counting) {
    throw Failure(ExitCode::usage, "--ack speaks the native protocol: no other format goes with it");
  }
  AcknowledgedSend send{.address = sink_address(arguments.sink, SinkUse::acknowledged),
                        .header = header_of(arguments),
                        .wanted = arguments.ack == "synced" ? wire::Wanted::synced : wire::Wanted::stored,
                        .print_acks = arguments.print_acks,
                        .text = std::move(text)};
  const UniqueFd input = open_input(arguments);
  send.input_fd = input.get();
  return send_acknowledged(send);
}

ExitCode send(const SendArguments& arguments, const std::vector<std::string>& words) {
  if (!arguments.misplaced.empty()) {
    throw Failure(ExitCode::usage, fmt::format("{}: no option; a message that begins with - stands behind --",
                                               arguments.misplaced.front()));
  }
  if (!words.empty() && !arguments.file.empty()) {
    throw Failure(ExitCode::usage, "a message and --file exclude each other");
  }
  std::optional<std::string> text;
  if (!words.empty()) text = fmt::format("{}", fmt::join(words, " "));
  if (!arguments.ack.empty()) return send_with_acknowledgements(arguments, std::move(text));
  if (arguments.print_acks) throw Failure(ExitCode::usage, "--print-acks goes with --ack");
  const SinkAddress address = sink_address(arguments.sink, SinkUse::any);
  MessageHeader header = header_of(arguments);
  if (address.raw && !arguments.rfc5424 && !arguments.rfc3164) header.format = MessageFormat::raw;
  const bool several_lines = text && text->find('\n') != std::string::npos;
  const bool count =
      arguments.octet_counting || address.counted || (header.format != MessageFormat::raw && several_lines);
  MessageSink sink(address, count);
  Sender sender(sink, std::move(header));
  if (text) {
    sender.send(*text);
  } else {
    sender.send_lines(open_input(arguments).get());
  }
  sink.close();
  return ExitCode::done;
}

void add_formats(CLI::App& command, SendArguments& arguments) {
  auto* formats = command.add_option_group("How", "Default: RFC 5424");
  formats->add_flag("--rfc5424", arguments.rfc5424, "RFC 5424");
  formats->add_flag("--rfc3164", arguments.rfc3164, "RFC 3164, as syslog(3) writes it");
  formats->add_flag("--raw", arguments.raw, "The text alone");
  formats->require_option(0, 1);
}

}  // namespace

void add_send(CLI::App& app, ExitCode& exit_code, const std::vector<std::string>& words) {
  auto* command = app.add_subcommand("send", "Send messages, like logger(1)");
  auto arguments = std::make_shared<SendArguments>();
  add_sink_arguments(*command, arguments->sink);
  add_formats(*command, *arguments);
  command->add_option("-p,--priority", arguments->priority, "facility.severity")
      ->type_name("PRIORITY")
      ->capture_default_str();
  command->add_option("-t,--tag", arguments->tag, "Identifier; default: the user's name")->type_name("NAME");
  command->add_flag("-i", arguments->with_pid, "State this process's id");
  command->add_flag("--octet-count", arguments->octet_counting,
                    "On a stream: a count before each message (RFC 6587)");
  command
      ->add_option("--ack", arguments->ack,
                   "Speak the native protocol, and end when every message is stored, or synced to disk")
      ->check(CLI::IsMember({"stored", "synced"}));
  command->add_flag("--print-acks", arguments->print_acks,
                    "With --ack: print the number of a message once it and all before it are acknowledged");
  command->add_option("-f,--file", arguments->file, "Each line of it a message; - or nothing: standard input")
      ->type_name("FILE");
  command->add_option("MESSAGE", arguments->misplaced,  // for --help: the words were taken out before
                      "The message; left out: lines of the file or standard input");
  command->callback([arguments, &words, &exit_code] { exit_code = send(*arguments, words); });
}

}  // namespace fastlogd::ctl
