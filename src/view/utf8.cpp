#include "view/utf8.hpp"

#include <cstdint>

namespace fastlogd::view {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

constexpr std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

/// One pass without a branch per byte: printable ASCII but quote and backslash, which a JSON string holds as
/// they are. DEL is not printable.
bool is_plain_json(std::string_view text) {
  unsigned found = 0;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    found |= static_cast<unsigned>(byte < 0x20) | static_cast<unsigned>(byte >= 0x7f) |
             static_cast<unsigned>(byte == '"') | static_cast<unsigned>(byte == '\\');
  }
  return found == 0;
}

void append_unicode_escape(std::string& out, std::uint8_t code) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[code >> 4];
  out += kDigits[code & 15];
}

/// How many bytes at `at` are one of U+007F..U+009F; else 0. JSON allows them as they are, terminals obey them.
std::size_t high_control_bytes(std::string_view text, std::size_t at) {
  if (text[at] == '\x7f') return 1;
  const bool control = text[at] == '\xc2' && at + 1 < text.size() && byte_at(text, at + 1) >= 0x80 &&
                       byte_at(text, at + 1) < 0xa0;
  return control ? 2 : 0;
}

void append_json_ascii(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<std::uint8_t>(c);
  if (byte >= 0x20) {
    out += c;
    return;
  }
  append_unicode_escape(out, byte);
}

}  // namespace

std::size_t utf8_sequence_bytes(std::string_view text, std::size_t at) {
  const std::uint8_t lead = byte_at(text, at);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (text.size() - at < bytes) return 0;
  std::uint8_t lowest = 0x80;  // of the second byte
  std::uint8_t highest = 0xbf;
  if (lead == 0xe0) lowest = 0xa0;
  if (lead == 0xed) highest = 0x9f;
  if (lead == 0xf0) lowest = 0x90;
  if (lead == 0xf4) highest = 0x8f;
  if (byte_at(text, at + 1) < lowest || byte_at(text, at + 1) > highest) return 0;
  for (std::size_t i = 2; i < bytes; ++i) {
    if ((byte_at(text, at + i) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = utf8_sequence_bytes(text, at);
    if (bytes == 0) return false;
    at += bytes;
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = utf8_sequence_bytes(text, at);
    valid += bytes == 0 ? kReplacement : text.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return valid;
}

std::string escape_high_controls(std::string json) {
  if (json.find_first_of("\x7f\xc2") == std::string::npos) return json;
  std::string escaped;
  escaped.reserve(json.size());
  for (std::size_t at = 0; at < json.size();) {
    const std::size_t bytes = high_control_bytes(json, at);
    if (bytes == 0) {
      escaped += json[at++];
    } else {
      append_unicode_escape(escaped, byte_at(json, at + bytes - 1));
      at += bytes;
    }
  }
  return escaped;
}

bool append_json_string(std::string& out, std::string_view text) {
  bool valid = true;
  out += '"';
  if (is_plain_json(text)) {
    out += text;
  } else {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t bytes = utf8_sequence_bytes(text, at);
      if (high_control_bytes(text, at) != 0) {
        append_unicode_escape(out, byte_at(text, at + bytes - 1));  // the last byte is its code
      } else if (bytes == 1) {
        append_json_ascii(out, text[at]);
      } else {
        out += bytes == 0 ? kReplacement : text.substr(at, bytes);
      }
      valid = valid && bytes != 0;
      at += bytes == 0 ? 1 : bytes;
    }
  }
  out += '"';
  return valid;
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t left = bytes.size() - at;
    const std::uint32_t group = static_cast<std::uint32_t>(byte_at(bytes, at)) << 16 |
                                (left > 1 ? static_cast<std::uint32_t>(byte_at(bytes, at + 1)) << 8 : 0U) |
                                (left > 2 ? static_cast<std::uint32_t>(byte_at(bytes, at + 2)) : 0U);
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += left > 1 ? kAlphabet[group >> 6 & 63] : '=';
    out += left > 2 ? kAlphabet[group & 63] : '=';
  }
}

}  // namespace fastlogd::view
