// RFC 5424 section 6: VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP
// MSG]
#include "base/limits.hpp"
#include "record/structured_data.hpp"
#include "record/timestamp.hpp"
#include "wire/syslog_headers.hpp"

namespace fastlogd::wire {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Printable bytes up to a space, at least one and at most `bytes_max`, then the space. "-" reads as empty.
/// Bytes above ASCII are let through: host names in the wild have them.
bool parse_field(std::string_view message, std::size_t& at, std::size_t bytes_max, std::string_view& field) {
  const std::size_t begin = at;
  while (at < message.size() && static_cast<unsigned char>(message[at]) > 0x20 && message[at] != 0x7f) ++at;
  if (at == begin || at - begin > bytes_max || at == message.size() || message[at] != ' ') return false;
  field = message.substr(begin, at - begin);
  if (field == "-") field = {};
  ++at;
  return true;
}

bool parse_timestamp(std::string_view message, std::size_t& at, const ParseContext& context,
                     ParsedMessage& into) {
  if (message.substr(at).starts_with("- ")) {
    at += 2;
    return true;
  }
  const std::size_t used =
      parse_rfc3339(message.substr(at), context.utc_offset_seconds(), into.sender_time_ns);
  at += used;
  if (used == 0 || at >= message.size() || message[at] != ' ') return false;
  ++at;
  return true;
}

}  // namespace

bool looks_like_rfc5424(std::string_view message, std::size_t at) {
  const std::string_view rest = message.substr(at);
  if (!rest.starts_with("1 ")) return false;
  if (rest.substr(2).starts_with("- ")) return true;
  return rest.size() >= 7 && is_digit(rest[2]) && is_digit(rest[3]) && is_digit(rest[4]) &&
         is_digit(rest[5]) && rest[6] == '-';
}

bool parse_rfc5424(std::string_view message, std::size_t at, const ParseContext& context,
                   ParsedMessage& into) {
  at += 2;
  if (!parse_timestamp(message, at, context, into) ||
      !parse_field(message, at, limits::kHostBytesMax, into.host) ||
      !parse_field(message, at, limits::kIdentifierBytesMax, into.identifier) ||
      !parse_field(message, at, limits::kProcidBytesMax, into.procid) ||
      !parse_field(message, at, limits::kMsgidBytesMax, into.msgid)) {
    return false;
  }
  into.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  into.slice_offset = static_cast<std::uint32_t>(at);
  const std::size_t data = structured_data_bytes(message.substr(at));
  if (data > 0) {
    at += data;
    if (at < message.size()) ++at;  // the space before MSG
  } else if (at < message.size() && message[at] == '[') {
    return false;
  }
  start_message(message, at, into);
  return true;
}

}  // namespace fastlogd::wire
