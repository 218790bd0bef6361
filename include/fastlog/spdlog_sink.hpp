// Lets spdlog write into fastlogd:
//
//     auto sink = std::make_shared<fastlog::SpdlogSink>(fastlog::Log());
//     spdlog::set_default_logger(std::make_shared<spdlog::logger>("app", sink));
//
// The message goes as it is, without spdlog's pattern: time, severity, program and process are kept beside it. A logger's
// name becomes the field `logger`. Use spdlog's ordinary loggers, not its asynchronous ones: a call is as cheap.
#ifndef FASTLOG_SPDLOG_SINK_HPP
#define FASTLOG_SPDLOG_SINK_HPP

#include <chrono>
#include <memory>
#include <utility>

#include <spdlog/sinks/sink.h>

#include "fastlog.hpp"

namespace fastlog {

/// Takes no lock. Any thread.
class SpdlogSink final : public spdlog::sinks::sink {
 public:
  explicit SpdlogSink(Log log) : log_(std::move(log)) {}

  void log(const spdlog::details::log_msg& message) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    if (message.logger_name.size() == 0) {
      log_.write(severity(message.level), text);
      return;
    }
    const fastlog_field name =
        field("logger", std::string_view(message.logger_name.data(), message.logger_name.size()));
    log_.write(severity(message.level), std::span(&name, 1), text);
  }
  /// Until readers can see it, at most a second.
  void flush() override { log_.flush(FASTLOG_STORED, std::chrono::seconds(1)); }
  /// Patterns are for text files: they change nothing here.
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  [[nodiscard]] Log& get() noexcept { return log_; }

 private:
  static int severity(spdlog::level::level_enum level) noexcept {
    switch (level) {
      case spdlog::level::critical:
        return FASTLOG_CRITICAL;
      case spdlog::level::err:
        return FASTLOG_ERR;
      case spdlog::level::warn:
        return FASTLOG_WARNING;
      case spdlog::level::info:
        return FASTLOG_INFO;
      default:
        return FASTLOG_DEBUG;
    }
  }

  Log log_;
};

}  // namespace fastlog

#endif
