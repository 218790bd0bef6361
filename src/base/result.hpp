// Errors as values. The record path returns small enums; everything else that can fail returns Result<T>.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <boost/system/result.hpp>

namespace fastlogd {

/// What went wrong and where: `code` for programs, `context` for people ("open /var/log/x: ...").
struct Error {
  std::error_code code;
  std::string context;

  /// "context: text of the code", ready for a log line.
  [[nodiscard]] std::string message() const;
};

template <class T = void>
using Result = boost::system::result<T, Error>;

/// The current errno as an Error. Call it before anything else can change errno.
[[nodiscard]] Error errno_error(std::string context);

/// The same Error, with what it is about in front: calls that are given a descriptor don't know the path.
[[nodiscard]] Error prefixed(const std::string& what, const Error& error);

/// An Error that is not from the system: bad content, a refused request.
[[nodiscard]] Error invalid(std::string context);

/// Boost.System calls this when value() is asked of a failed Result; start-up code relies on it.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

/// Dies with a message: for a broken invariant, never for bad input.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace fastlogd

/// A broken invariant must not be written to disk: stop at once, in release builds too.
#define FASTLOGD_CHECK(condition)                               \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::fastlogd::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
