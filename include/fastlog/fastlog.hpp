// fastlog.h for C++20: owned logs, string_view, and formatting straight into the daemon's memory.
//
//     fastlog::Log log;                                    // or Log::open(options, error) without an exception
//     log.info("user {} logged in after {} ms", name, ms); // with <fmt/format.h>; dropped records are counted
//     log.write(FASTLOG_WARNING, text);
//     log.flush(FASTLOG_SYNCED, std::chrono::seconds(1));
//
// Header-only: the library's interface is C, so nothing here depends on how the library was compiled. Threads, signals, fork
// and lifetime are as fastlog.h says. Formatting needs {fmt}, and is left out where FASTLOG_WITHOUT_FMT is defined.
#ifndef FASTLOG_HPP
#define FASTLOG_HPP

#include <chrono>
#include <climits>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#ifndef FASTLOG_WITHOUT_FMT
#include <fmt/format.h>
#endif

#include "fastlog.h"

namespace fastlog {

/// What a constructor throws: `result` is one of enum fastlog_result.
class Error : public std::runtime_error {
 public:
  Error(int result, const std::string& text) : std::runtime_error(text), result_(result) {}
  [[nodiscard]] int result() const noexcept { return result_; }

 private:
  int result_;
};

[[nodiscard]] inline fastlog_options default_options() {
  return FASTLOG_OPTIONS_INIT;
}

/// Room in the daemon's memory for one message; gives it up unless it is committed. Of one thread, short-lived.
class Reservation {
 public:
  Reservation(Reservation&& other) noexcept
      : log_(std::exchange(other.log_, nullptr)),
        room_(std::exchange(other.room_, {})),
        result_(other.result_) {}
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation() {
    if (log_ != nullptr) fastlog_cancel(log_);
  }

  /// Empty: there is none, see result().
  [[nodiscard]] std::span<char> room() const noexcept { return room_; }
  [[nodiscard]] explicit operator bool() const noexcept { return log_ != nullptr; }
  [[nodiscard]] int result() const noexcept { return result_; }
  /// The first `bytes` of the room are the message.
  int commit(std::size_t bytes) noexcept { return fastlog_commit(std::exchange(log_, nullptr), bytes); }

 private:
  friend class Log;
  Reservation(::fastlog_log* log, int severity, std::size_t bytes_max) noexcept {
    char* const at = fastlog_reserve(log, severity, bytes_max, &result_);
    if (at == nullptr) return;
    log_ = log;
    room_ = {at, bytes_max};
  }

  ::fastlog_log* log_ = nullptr;
  std::span<char> room_;
  int result_ = FASTLOG_OK;
};

/// Owns a struct fastlog_log. Any thread; closed by the destructor, beside which nothing else may run.
class Log {
 public:
  /// Throws Error.
  explicit Log(const fastlog_options& options = default_options()) {
    const int result = fastlog_open(&options, &log_);
    if (result != FASTLOG_OK) throw Error(result, fastlog_error(nullptr));
  }
  Log(Log&& other) noexcept : log_(std::exchange(other.log_, nullptr)) {}
  Log& operator=(Log&& other) noexcept {
    std::swap(log_, other.log_);
    return *this;
  }
  ~Log() { fastlog_close(log_); }

  /// One of enum fastlog_result, like everything below that returns int.
  int write(int severity, std::string_view message) noexcept {
    return fastlog_write(log_, severity, message.data(), message.size());
  }
  int write(int severity, std::span<const fastlog_field> fields, std::string_view message) noexcept {
    return fastlog_write_fields(log_, severity, fields.data(), fields.size(), message.data(), message.size());
  }
  [[nodiscard]] Reservation reserve(int severity, std::size_t bytes_max) noexcept {
    return {log_, severity, bytes_max};
  }

#ifndef FASTLOG_WITHOUT_FMT
  /// Formats into the memory, at most `kFormattedBytesMax` bytes; a longer message is formatted once more, with its own
  /// length. What formatting throws comes through, and nothing is written then.
  template <class... Arguments>
  int format(int severity, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    const fmt::string_view pattern = text;
    Reservation reserved = reserve(severity, kFormattedBytesMax);
    if (!reserved) return reserved.result();
    const std::size_t bytes = fmt::vformat_to_n(reserved.room().data(), kFormattedBytesMax, pattern,
                                                fmt::make_format_args(arguments...))
                                  .size;
    if (bytes <= kFormattedBytesMax) return reserved.commit(bytes);
    {
      const Reservation given_up = std::move(reserved);
    }
    return write(severity, fmt::vformat(pattern, fmt::make_format_args(arguments...)));
  }
  template <class... Arguments>
  int debug(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return format(FASTLOG_DEBUG, text, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  int info(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return format(FASTLOG_INFO, text, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  int notice(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return format(FASTLOG_NOTICE, text, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  int warning(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return format(FASTLOG_WARNING, text, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  int error(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return format(FASTLOG_ERR, text, std::forward<Arguments>(arguments)...);
  }
#endif

  /// Negative: no limit.
  int flush(int level, std::chrono::milliseconds timeout) noexcept {
    const auto limit = timeout.count() < 0 ? -1 : timeout.count() > INT_MAX ? INT_MAX : timeout.count();
    return fastlog_flush(log_, level, static_cast<int>(limit));
  }
  [[nodiscard]] fastlog_counts counts() const noexcept {
    fastlog_counts counts{};
    fastlog_get_counts(log_, &counts);
    return counts;
  }
  [[nodiscard]] ::fastlog_log* get() const noexcept { return log_; }

 private:
  static constexpr std::size_t kFormattedBytesMax = 1024;

  ::fastlog_log* log_ = nullptr;
};

/// A field of text; the views must stay until the call that takes it has returned. `name` ends with a zero.
[[nodiscard]] inline fastlog_field field(const char* name, std::string_view value) noexcept {
  return {name, value.data(), value.size()};
}

}  // namespace fastlog

#endif
