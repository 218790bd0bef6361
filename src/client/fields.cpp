#include "client/fields.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fastlogd::client {
namespace {

constexpr std::string_view kBegin = "[fields@0";
constexpr std::size_t kNameBytesMax = 32;  // RFC 5424 section 6: SD-NAME

bool needs_escape(char c) {
  return c == '"' || c == '\\' || c == ']';
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '=' && c != ']' && c != '"';
  });
}

}  // namespace

std::size_t fields_bytes(std::span<const fastlog_field> fields) {
  std::size_t bytes = kBegin.size() + 1;
  for (const fastlog_field& field : fields) {
    if (field.name == nullptr || (field.value == nullptr && field.value_bytes != 0)) return 0;
    const std::string_view name(field.name);
    if (!is_name(name)) return 0;
    const std::string_view value(field.value, field.value_bytes);
    bytes += name.size() + value.size() + 4 +
             static_cast<std::size_t>(std::count_if(value.begin(), value.end(), needs_escape));
  }
  return bytes;
}

char* write_fields(std::span<const fastlog_field> fields, char* to) {
  to = std::copy(kBegin.begin(), kBegin.end(), to);
  for (const fastlog_field& field : fields) {
    const std::string_view name(field.name);
    *to++ = ' ';
    to = std::copy(name.begin(), name.end(), to);
    *to++ = '=';
    *to++ = '"';
    for (const char c : std::string_view(field.value, field.value_bytes)) {
      if (needs_escape(c)) *to++ = '\\';
      *to++ = c;
    }
    *to++ = '"';
  }
  *to++ = ']';
  return to;
}

}  // namespace fastlogd::client
