// Records as JSON, one object a line. The keys are a stable interface, in this order; absent means not known:
//
//   seq          number   sequence number in the stream
//   time         string   receive time, RFC 3339 in UTC with nanoseconds
//   sender_time  string   what the sender claims, likewise
//   severity     string   "emerg" .. "debug"
//   facility     string   "kern" .. "local7"
//   transport    string   "unix-stream", "tcp", ...
//   uid gid pid  number   attested by the kernel
//   host identifier procid msgid   string   claimed by the sender
//   format       string   "rfc3164" or "rfc5424"; absent for raw text
//   truncated malformed   true
//   structured_data       object of objects: {"id": {"name": "value"}}; a name given twice has an array of
//   values message      string   from where the message starts
//
// JSON strings are Unicode, messages are bytes. A field that is not valid UTF-8 has each offending byte
// replaced by U+FFFD, and beside it `<key>_base64` with the exact bytes (RFC 4648 section 4).
#pragma once

#include <string>

#include "record/record_view.hpp"

namespace fastlogd::view {

struct GapView;

/// Appends the object, without a newline.
void append_json(std::string& out, const RecordView& record);
/// {"gap":{"reason":"kernel_udp","count":17,"first":..,"last":..,"from":"..","to":".."}}, absent fields left
/// out.
void append_gap_json(std::string& out, const GapView& gap);

}  // namespace fastlogd::view
