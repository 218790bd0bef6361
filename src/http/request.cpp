#include <algorithm>
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

/// Name and value of the query's first parameter, not decoded, which is taken off it.
std::pair<std::string_view, std::string_view> take_pair(std::string_view& query) {
  const std::string_view pair = query.substr(0, query.find('&'));
  query.remove_prefix(std::min(query.size(), pair.size() + 1));
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return {pair, {}};
  return {pair.substr(0, equals), pair.substr(equals + 1)};
}

}  // namespace

std::optional<std::string> Request::parameter(std::string_view key) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const auto [name, value] = take_pair(rest);
    if (name == key) return decode(value);
  }
  return std::nullopt;
}

std::optional<std::vector<std::pair<std::string, std::string>>> Request::parameters() const {
  std::vector<std::pair<std::string, std::string>> all;
  std::string_view rest = query;
  while (!rest.empty()) {
    const auto [name, value] = take_pair(rest);
    if (name.empty() && value.empty()) continue;  // "a=1&&b=2"
    auto decoded_name = decode(name);
    auto decoded_value = decode(value);
    if (!decoded_name || !decoded_value) return std::nullopt;
    all.emplace_back(std::move(*decoded_name), std::move(*decoded_value));
  }
  return all;
}

}  // namespace fastlogd::http
