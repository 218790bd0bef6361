// fastlogctl: reads logs, checks them, and controls a running fastlogd.
#include <csignal>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/failure.hpp"

namespace {

using fastlogd::ctl::ExitCode;

int run(int argc, char** argv) {
  CLI::App app("Reads and checks fastlogd's logs and controls a running fastlogd.", "fastlogctl");
  app.set_version_flag("--version", "fastlogctl " FASTLOGD_VERSION);
  app.require_subcommand(1);
  ExitCode exit_code = ExitCode::done;
  fastlogd::ctl::add_tail(app, exit_code);
  fastlogd::ctl::add_cat(app, exit_code);
  fastlogd::ctl::add_grep(app, exit_code);
  fastlogd::ctl::add_status(app, exit_code);
  fastlogd::ctl::add_streams(app, exit_code);
  fastlogd::ctl::add_segments(app, exit_code);
  fastlogd::ctl::add_usage(app, exit_code);
  fastlogd::ctl::add_gaps(app, exit_code);
  fastlogd::ctl::add_verify(app, exit_code);
  fastlogd::ctl::add_send(app, exit_code);
  fastlogd::ctl::add_reload(app, exit_code);
  fastlogd::ctl::add_rotate(app, exit_code);
  fastlogd::ctl::add_sync(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
  return static_cast<int>(exit_code);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has seen enough ends us quietly, see output.hpp
  try {
    return run(argc, argv);
  } catch (const fastlogd::ctl::Failure& failure) {
    fmt::print(stderr, "fastlogctl: {}\n", failure.what());
    return static_cast<int>(failure.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "fastlogctl: {}\n", error.what());
    return static_cast<int>(ExitCode::usage);
  }
}
