// The two header grammars behind <PRI>; syslog.hpp is what others call.
#pragma once

#include <cstddef>
#include <string_view>

#include "wire/syslog.hpp"

namespace fastlogd::wire {

inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Is the text at `at`, behind <PRI>, "1 " and then a timestamp or "- "?
[[nodiscard]] bool looks_like_rfc5424(std::string_view message, std::size_t at);

/// Reads from `at`, behind <PRI>. False: malformed, `into` is then half filled.
[[nodiscard]] bool parse_rfc5424(std::string_view message, std::size_t at, const ParseContext& context,
                                 ParsedMessage& into);

/// Reads from `at`, behind <PRI>; every part is optional, so it always succeeds.
void parse_rfc3164(std::string_view message, std::size_t at, const ParseContext& context,
                   ParsedMessage& into);

/// Sets message_start behind a byte order mark at the slice's offset `at`, if there is one.
inline void start_message(std::string_view message, std::size_t at, ParsedMessage& into) {
  const bool marked = message.substr(at).starts_with(kByteOrderMark);
  into.message_start =
      static_cast<std::uint32_t>(at - into.slice_offset + (marked ? kByteOrderMark.size() : 0));
}

}  // namespace fastlogd::wire
