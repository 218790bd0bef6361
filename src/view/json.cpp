#include "view/json.hpp"

#include <cstdint>
#include <string_view>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "record/structured_data.hpp"
#include "view/local_time.hpp"
#include "view/text.hpp"
#include "view/utf8.hpp"

namespace fastlogd::view {
namespace {

/// Writes members of one object, in order. Hand-rolled over Boost.JSON for its speed: one object a record.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  void number(std::string_view key, std::uint64_t value) {
    const fmt::format_int digits(value);
    begin(key);
    out_.append(digits.data(), digits.size());
  }
  void flag(std::string_view key, bool value) {
    if (!value) return;
    begin(key);
    out_ += "true";
  }
  /// Text of our own: ASCII without anything to escape.
  void name(std::string_view key, std::string_view value) {
    begin(key);
    out_ += '"';
    out_ += value;
    out_ += '"';
  }
  void time(std::string_view key, std::int64_t time_ns) {
    begin(key);
    out_ += '"';
    append_utc(out_, time_ns);
    out_ += '"';
  }
  /// Bytes of a sender; left out if there are none.
  void claim(std::string_view key, std::string_view bytes) {
    if (!bytes.empty()) text(key, bytes);
  }
  void text(std::string_view key, std::string_view bytes) {
    begin(key);
    if (append_json_string(out_, bytes)) return;
    exact(key, bytes);
  }
  /// The bytes that a string could not hold.
  void exact(std::string_view key, std::string_view bytes) {
    out_ += ",\"";
    out_ += key;
    out_ += "_base64\":\"";
    append_base64(out_, bytes);
    out_ += '"';
  }
  void json(std::string_view key, std::string_view value) {
    begin(key);
    out_ += value;
  }
  void end() { out_ += '}'; }

 private:
  void begin(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
  }

  std::string& out_;
  bool first_ = true;
};

void add_param(boost::json::object& element, const StructuredParam& param) {
  std::string unescaped;
  append_unescaped(unescaped, param.raw_value);
  boost::json::value value(to_valid_utf8(unescaped));
  boost::json::value& slot = element[to_valid_utf8(param.name)];
  if (slot.is_null()) {
    slot = std::move(value);
  } else if (slot.is_array()) {
    slot.as_array().push_back(std::move(value));
  } else {
    boost::json::value first = std::move(slot);
    slot = boost::json::array{std::move(first), std::move(value)};
  }
}

std::string structured_data_json(std::string_view data) {
  boost::json::object elements;
  StructuredDataReader reader(data);
  StructuredParam param;
  while (reader.next(param)) {
    boost::json::value& slot = elements[to_valid_utf8(param.element)];
    boost::json::object& element = slot.is_null() ? slot.emplace_object() : slot.as_object();
    if (!param.name.empty()) add_param(element, param);
  }
  return escape_high_controls(boost::json::serialize(elements));
}

void write_source(ObjectWriter& object, const SourceView& source) {
  object.name("transport", transport_name(source.transport));
  if (source.uid != kUnknownId) object.number("uid", source.uid);
  if (source.gid != kUnknownId) object.number("gid", source.gid);
  if (source.pid != kUnknownId) object.number("pid", source.pid);
  object.claim("host", source.host);
  object.claim("identifier", source.identifier);
}

void write_content(ObjectWriter& object, const RecordView& record) {
  if (record.flags.format() != RecordFormat::raw) {
    object.name("format", record.flags.format() == RecordFormat::rfc5424 ? "rfc5424" : "rfc3164");
  }
  object.flag("truncated", record.flags.truncated());
  object.flag("malformed", record.flags.malformed());
  if (const std::string_view data = record.structured_data(); !data.empty()) {
    object.json("structured_data", structured_data_json(data));
    if (!is_valid_utf8(data)) object.exact("structured_data", data);
  }
  object.text("message", record.message());
}

}  // namespace

void append_json(std::string& out, const RecordView& record) {
  ObjectWriter object(out);
  object.number("seq", record.sequence.value);
  object.time("time", record.receive_time_ns);
  if (record.sender_time_ns != kNoTime) object.time("sender_time", record.sender_time_ns);
  object.name("severity", severity_name(record.priority.severity()));
  object.name("facility", facility_name(record.priority.facility()));
  write_source(object, record.source);
  object.claim("procid", record.procid);
  object.claim("msgid", record.msgid);
  write_content(object, record);
  object.end();
}

void append_gap_json(std::string& out, const GapView& gap) {
  out += "{\"gap\":";
  ObjectWriter object(out);
  object.name("reason", ingress::stored_reason_name(gap.reason));
  if (gap.count != 0) object.number("count", gap.count);
  if (gap.first.value != 0) {
    object.number("first", gap.first.value);
    object.number("last", gap.last.value);
  }
  if (gap.from_ns != 0) object.time("from", gap.from_ns);
  if (gap.to_ns != 0) object.time("to", gap.to_ns);
  object.end();
  out += '}';
}

}  // namespace fastlogd::view
