// fastlogctl: reads logs, checks them, and controls a running fastlogd.
#include <algorithm>
#include <csignal>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/control_client.hpp"
#include "ctl/failure.hpp"
#include "ctl/message_words.hpp"
#include "ctl/output.hpp"

namespace {

using fastlogd::ctl::ExitCode;
using fastlogd::ctl::flush_standard_output;

void parse(CLI::App& app, std::vector<std::string> arguments, std::vector<std::string>& message_words) {
  if (!arguments.empty() && arguments.front() == "send") {
    std::vector<std::string> behind(arguments.begin() + 1, arguments.end());
    message_words = fastlogd::ctl::take_message_words(*app.get_subcommand("send"), behind);
    behind.insert(behind.begin(), "send");
    arguments = std::move(behind);
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(std::move(arguments));
}

void add_commands(CLI::App& app, ExitCode& exit_code, const std::vector<std::string>& message_words) {
  fastlogd::ctl::add_tail(app, exit_code);
  fastlogd::ctl::add_cat(app, exit_code);
  fastlogd::ctl::add_grep(app, exit_code);
  fastlogd::ctl::add_status(app, exit_code);
  fastlogd::ctl::add_streams(app, exit_code);
  fastlogd::ctl::add_segments(app, exit_code);
  fastlogd::ctl::add_usage(app, exit_code);
  fastlogd::ctl::add_gaps(app, exit_code);
  fastlogd::ctl::add_verify(app, exit_code);
  fastlogd::ctl::add_fsck(app, exit_code);
  fastlogd::ctl::add_send(app, exit_code, message_words);
  fastlogd::ctl::add_bench(app, exit_code);
  fastlogd::ctl::add_reload(app, exit_code);
  fastlogd::ctl::add_rotate(app, exit_code);
  fastlogd::ctl::add_sync(app, exit_code);
}

int run(std::vector<std::string> arguments) {
  CLI::App app("Reads and checks fastlogd's logs and controls a running fastlogd.", "fastlogctl");
  app.set_version_flag("--version", "fastlogctl " FASTLOGD_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("fastlogctl: {}; --help says more\n", error.what());
  });
  ExitCode exit_code = ExitCode::done;
  std::vector<std::string> message_words;
  add_commands(app, exit_code, message_words);
  try {
    parse(app, std::move(arguments), message_words);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return static_cast<int>(asked_for_help && flush_standard_output() ? ExitCode::done : ExitCode::usage);
  } catch (const std::system_error& error) {  // fmt::print's
    if (error.code() != std::errc::broken_pipe) throw;
    return static_cast<int>(ExitCode::done);
  }
  return static_cast<int>(flush_standard_output() ? exit_code : ExitCode::usage);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has seen enough ends us quietly, see output.hpp
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const fastlogd::ctl::NoAnswer& failure) {
    fmt::print(stderr,
               "fastlogctl: {}; if it runs with another runtime_directory, --socket names its socket\n",
               failure.what());
    return static_cast<int>(failure.code());
  } catch (const fastlogd::ctl::Failure& failure) {
    fmt::print(stderr, "fastlogctl: {}\n", failure.what());
    return static_cast<int>(failure.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "fastlogctl: {}\n", error.what());
    return static_cast<int>(ExitCode::usage);
  }
}
