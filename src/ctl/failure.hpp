// Ends a command with a message and an exit code.
#pragma once

#include <stdexcept>
#include <string>

#include "ctl/exit_code.hpp"

namespace fastlogd::ctl {

/// Thrown while a command is being set up; main() prints "fastlogctl: what" and exits with the code.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  [[nodiscard]] ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace fastlogd::ctl
