// Writes syslog messages, for `fastlogctl send`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "record/priority.hpp"

namespace fastlogd::ctl {

enum class MessageFormat : std::uint8_t { rfc5424, rfc3164, raw };

/// What stands before the text in every message.
struct MessageHeader {
  MessageFormat format = MessageFormat::rfc5424;
  Priority priority{13};  ///< user.notice, as logger(1)
  std::string tag;
  std::string pid;  ///< empty: none
  std::string host;
};

/// "local0.err", "err" (then facility user), "kern.0", or the number of a PRI.
[[nodiscard]] Result<Priority> parse_priority(std::string_view text);

/// Appends one message, without a delimiter. RFC 5424 section 6 with microseconds; RFC 3164 as local syslog(3) writes
/// it, without a host.
void append_message(std::string& out, const MessageHeader& header, std::string_view text,
                    std::int64_t now_ns);

}  // namespace fastlogd::ctl
