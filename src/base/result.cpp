#include "base/result.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace fastlogd {

std::string Error::message() const {
  // What invalid() makes says itself what is wrong; "Invalid argument" behind it would only confuse.
  const bool says_all = code == std::error_code(EINVAL, std::generic_category()) && !context.empty();
  if (!code || says_all) return context;
  return context.empty() ? code.message() : context + ": " + code.message();
}

Error errno_error(std::string context) {
  const int saved = errno;
  return Error{std::error_code(saved, std::system_category()), std::move(context)};
}

Error prefixed(const std::string& what, const Error& error) {
  return Error{error.code, what + ": " + error.context};
}

Error invalid(std::string context) {
  return Error{std::make_error_code(std::errc::invalid_argument), std::move(context)};
}

void throw_exception_from_error(const Error& error, const boost::source_location& /*where*/) {
  throw std::system_error(error.code, error.context);
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "fastlogd: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace fastlogd
