#include "daemon/command_line.hpp"

#include <getopt.h>

#include <fmt/format.h>

namespace fastlogd::daemon {
namespace {

constexpr option kOptions[] = {
    {"config", required_argument, nullptr, 'c'},
    {"check", no_argument, nullptr, 'k'},
    {"version", no_argument, nullptr, 'V'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

CommandLine refuse(std::string why) {
  CommandLine refused;
  refused.action = CommandLine::Action::refuse;
  refused.error = std::move(why);
  return refused;
}

}  // namespace

CommandLine parse_command_line(int argc, char* argv[]) {
  CommandLine line;
  ::optind = 0;  // start over: a test parses more than once
  ::opterr = 0;
  for (int found = 0; (found = ::getopt_long(argc, argv, ":c:hV", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'c':
        line.config_path = ::optarg;
        line.config_given = true;
        break;
      case 'k':
        line.action = CommandLine::Action::check;
        break;
      case 'V':
        line.action = CommandLine::Action::version;
        return line;
      case 'h':
        line.action = CommandLine::Action::help;
        return line;
      case ':':
        return refuse(fmt::format("{} needs a value", argv[::optind - 1]));
      default:
        return refuse(fmt::format("unknown option {}", argv[::optind - 1]));
    }
  }
  if (::optind < argc) return refuse(fmt::format("unexpected argument {}", argv[::optind]));
  return line;
}

std::string usage() {
  return fmt::format(
      "Usage: fastlogd [--config FILE] [--check]\n"
      "\n"
      "Receives log records and stores them; runs in the foreground until SIGTERM.\n"
      "\n"
      "  -c, --config FILE  the configuration (default {}; if that is absent, built-in defaults)\n"
      "      --check        say whether the configuration is good and exit: 0 good, 78 not\n"
      "  -V, --version      print the version and exit\n"
      "  -h, --help         print this and exit\n"
      "\n"
      "SIGHUP reloads the configuration. fastlogctl(1) reads, verifies and controls.\n",
      config::kDefaultConfigPath);
}

}  // namespace fastlogd::daemon
