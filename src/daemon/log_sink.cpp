#include "daemon/log_sink.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace fastlogd::daemon {
namespace {

/// "%*" in the pattern: syslog's priority of the line's level, as sd-daemon(3) wants it.
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& to) override {
    std::string_view prefix = "<6>";
    if (message.level == spdlog::level::debug) prefix = "<7>";
    if (message.level == spdlog::level::warn) prefix = "<4>";
    if (message.level == spdlog::level::err) prefix = "<3>";
    to.append(prefix.data(), prefix.data() + prefix.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return spdlog::details::make_unique<PriorityFlag>();
  }
};

spdlog::level::level_enum level_of(diag::Level level) {
  switch (level) {
    case diag::Level::debug:
      return spdlog::level::debug;
    case diag::Level::info:
      return spdlog::level::info;
    case diag::Level::warning:
      return spdlog::level::warn;
    case diag::Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// Never destroyed: threads may still say something while the program ends.
spdlog::logger& logger() {
  static auto* const instance =
      new spdlog::logger("fastlogd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return *instance;
}

void write_line(diag::Level level, std::string_view line) {
  logger().log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

LogStyle choose_log_style() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return LogStyle::timestamped;
  const bool is_journal = fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
  return is_journal ? LogStyle::prioritized : LogStyle::timestamped;
}

void install_log_sink(LogStyle style) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PriorityFlag>('*');
  formatter->set_pattern(style == LogStyle::prioritized ? "%*%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
  logger().set_formatter(std::move(formatter));
  logger().set_level(spdlog::level::trace);  // diag:: decides what is shown
  diag::set_sink(&write_line);
}

}  // namespace fastlogd::daemon
