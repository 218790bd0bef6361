// What is wrong with a configuration, and where: collected, so that one look at the list repairs the file.
#pragma once

#include <string>
#include <vector>

namespace fastlogd::config {

/// A place in a file. `line` and `column` count from 1.
struct Problem {
  std::string file;
  int line = 1;
  int column = 1;
  std::string message;
  friend bool operator==(const Problem&, const Problem&) = default;
};

/// "file:line:column: message", as compilers print and editors jump to.
[[nodiscard]] std::string format_problem(const Problem& problem);

/// One formatted problem per line, each ended by a newline.
[[nodiscard]] std::string format_problems(const std::vector<Problem>& problems);

}  // namespace fastlogd::config
