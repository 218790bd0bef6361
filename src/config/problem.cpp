#include "config/problem.hpp"

#include <fmt/format.h>

namespace fastlogd::config {

std::string format_problem(const Problem& problem) {
  return fmt::format("{}:{}:{}: {}", problem.file, problem.line, problem.column, problem.message);
}

std::string format_problems(const std::vector<Problem>& problems) {
  std::string lines;
  for (const Problem& problem : problems) lines += format_problem(problem) + "\n";
  return lines;
}

}  // namespace fastlogd::config
