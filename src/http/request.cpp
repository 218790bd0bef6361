#include <charconv>

#include "http/server.hpp"

namespace fastlogd::http {
namespace {

/// Percent-decoding of a query value (RFC 3986 section 2.1; '+' is a space, as forms and curl write it).
std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      if (text.size() - i < 3) return std::nullopt;
      unsigned value = 0;
      const char* const digits = text.data() + i + 1;
      const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
      if (error != std::errc{} || end != digits + 2) return std::nullopt;
      decoded.push_back(static_cast<char>(value));
      i += 2;
    }
  }
  return decoded;
}

}  // namespace

std::optional<std::string> Request::parameter(std::string_view key) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != key) continue;
    return decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace fastlogd::http
