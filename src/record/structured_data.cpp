#include "record/structured_data.hpp"

namespace fastlogd {
namespace {

constexpr bool is_name_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '=' && c != ']' && c != '"';
}

std::size_t name_bytes(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_name_byte(text[end])) ++end;
  return end - at;
}

/// Length of a value up to, not with, its closing quote; npos if it never closes.
std::size_t quoted_bytes(std::string_view text, std::size_t at) {
  for (std::size_t end = at; end < text.size(); ++end) {
    if (text[end] == '"') return end - at;
    if (text[end] == '\\') ++end;
  }
  return std::string_view::npos;
}

constexpr bool is_escape(std::string_view raw, std::size_t at) {
  return raw[at] == '\\' && at + 1 < raw.size() &&
         (raw[at + 1] == '"' || raw[at + 1] == '\\' || raw[at + 1] == ']');
}

/// Bytes of ` name="value"` at `at`, 0 if there is no such thing.
std::size_t param_bytes(std::string_view text, std::size_t at) {
  const std::size_t name = name_bytes(text, at + 1);
  const std::size_t value_at = at + 1 + name + 2;
  if (name == 0 || text[at] != ' ' || text.size() < value_at || text[value_at - 2] != '=' ||
      text[value_at - 1] != '"') {
    return 0;
  }
  const std::size_t value = quoted_bytes(text, value_at);
  return value == std::string_view::npos ? 0 : value_at + value + 1 - at;
}

/// Where the element whose `[` is at `at` ends, behind its `]`; 0 if it is broken.
std::size_t element_end(std::string_view text, std::size_t at) {
  const std::size_t id = name_bytes(text, at + 1);
  if (id == 0) return 0;
  at += 1 + id;
  while (at < text.size() && text[at] != ']') {
    const std::size_t param = param_bytes(text, at);
    if (param == 0) return 0;
    at += param;
  }
  return at < text.size() ? at + 1 : 0;
}

}  // namespace

std::size_t structured_data_bytes(std::string_view text) {
  if (text.empty()) return 0;
  std::size_t at = 0;
  if (text[0] == '-') {
    at = 1;
  } else {
    while (at < text.size() && text[at] == '[') {
      at = element_end(text, at);
      if (at == 0) return 0;
    }
  }
  return at == text.size() || text[at] == ' ' ? at : 0;
}

// Skips to the next `[id`. True if the element has no parameters and is itself the answer.
bool StructuredDataReader::open_element(StructuredParam& param) {
  const std::size_t name = name_bytes(rest_, 1);
  element_ = rest_.substr(1, name);
  rest_.remove_prefix(1 + name);
  inside_ = true;
  if (element_.empty() || rest_.empty() || rest_[0] != ']') return false;
  param = StructuredParam{element_, {}, {}};
  return true;
}

bool StructuredDataReader::next(StructuredParam& param) {
  if (inside_ && !rest_.empty() && rest_[0] == ']') {
    rest_.remove_prefix(1);
    inside_ = false;
  }
  if (!inside_) {
    if (rest_.empty() || rest_[0] != '[') return false;
    if (open_element(param)) return true;
  }
  if (element_.empty() || rest_.empty()) return false;
  const std::size_t bytes = param_bytes(rest_, 0);
  if (bytes == 0) return false;
  const std::size_t name = name_bytes(rest_, 1);
  const std::size_t value_at = 1 + name + 2;
  param = StructuredParam{element_, rest_.substr(1, name), rest_.substr(value_at, bytes - value_at - 1)};
  rest_.remove_prefix(bytes);
  return true;
}

void append_unescaped(std::string& out, std::string_view raw_value) {
  for (std::size_t i = 0; i < raw_value.size(); ++i) {
    if (is_escape(raw_value, i)) ++i;
    out.push_back(raw_value[i]);
  }
}

bool unescaped_equals(std::string_view raw_value, std::string_view value) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < raw_value.size(); ++i, ++at) {
    if (is_escape(raw_value, i)) ++i;
    if (at == value.size() || raw_value[i] != value[at]) return false;
  }
  return at == value.size();
}

}  // namespace fastlogd
