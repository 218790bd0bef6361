// fastlogd's command line.
#pragma once

#include <cstdint>
#include <string>

#include "config/config.hpp"

namespace fastlogd::daemon {

struct CommandLine {
  enum class Action : std::uint8_t { run, check, version, help, refuse };
  Action action = Action::run;
  std::string config_path = config::kDefaultConfigPath;
  bool config_given = false;  ///< then the file must be there
  std::string error;          ///< action refuse: what is wrong
};

/// As for main(). Not reentrant (getopt_long(3) keeps state).
[[nodiscard]] CommandLine parse_command_line(int argc, char* argv[]);

/// What --help prints.
[[nodiscard]] std::string usage();

/// sysexits.h and the exit codes of product.md.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfiguration = 78;

}  // namespace fastlogd::daemon
