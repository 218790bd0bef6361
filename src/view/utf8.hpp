// Bytes of senders as JSON strings: UTF-8 checked, escaped, and base64 for what is not text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fastlogd::view {

/// Bytes of the well-formed UTF-8 sequence at `at` (1 to 4), 0 if there is none: Unicode 15 table 3-7, so
/// neither surrogates nor overlong forms.
[[nodiscard]] std::size_t utf8_sequence_bytes(std::string_view text, std::size_t at);

[[nodiscard]] bool is_valid_utf8(std::string_view text);

/// A copy with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view text);

/// Appends `text` as a quoted JSON string (RFC 8259 section 7), offending bytes as U+FFFD. False: there were
/// some. All control characters are escaped, also those that JSON doesn't demand: U+009B drives a terminal.
[[nodiscard]] bool append_json_string(std::string& out, std::string_view text);

/// The same JSON text with U+007F..U+009F, which can only stand in its strings, as escapes.
[[nodiscard]] std::string escape_high_controls(std::string json);

/// RFC 4648 section 4, padded.
void append_base64(std::string& out, std::string_view bytes);

}  // namespace fastlogd::view
