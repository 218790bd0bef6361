// Whatever a message holds: every view lies inside it, the limits hold, nothing of the text is lost, and what the parser
// lets through can be read and rendered.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "record/structured_data.hpp"
#include "view/filter.hpp"
#include "view/json.hpp"
#include "view/text.hpp"
#include "view/utf8.hpp"
#include "wire/syslog.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;

void require(bool holds) {
  if (!holds) std::abort();
}

void require_inside(std::string_view part, std::string_view message, std::size_t bytes_max) {
  require(part.size() <= bytes_max);
  if (part.empty()) return;
  require(part.data() >= message.data() && part.data() + part.size() <= message.data() + message.size());
}

RecordView as_record(std::string_view message, const ParsedMessage& parsed) {
  RecordView record;
  record.sender_time_ns = parsed.sender_time_ns;
  record.priority = parsed.priority;
  record.flags = parsed.flags;
  record.source.host = parsed.host;
  record.source.identifier = parsed.identifier;
  record.slice = message.substr(parsed.slice_offset);
  record.message_start = parsed.message_start;
  record.procid = parsed.procid;
  record.msgid = parsed.msgid;
  return record;
}

void render(const RecordView& record) {
  static const view::RecordFilter filter = [] {
    view::FilterSpec spec;
    spec.fields = {{"a", "1", true}, {"b.c", "2", false}};
    return view::RecordFilter::compile(spec).value();
  }();
  (void)filter.matches(record);
  std::string out;
  view::append_json(out, record);
  require(view::is_valid_utf8(out) && out.find('\n') == std::string::npos);
  view::TextOptions options;
  options.escape = true;
  view::RecordRenderer renderer(options);
  out.clear();
  renderer.append(out, record);
  require(out.find('\n') == out.size() - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto format = static_cast<MessageFormat>(data[0] % 3);
  const ParseContext context(1'795'388'701'000'000'000, (data[1] % 27 - 12) * 3600, data[1] % 2 == 0);
  const std::string_view message(reinterpret_cast<const char*>(data) + 2, size - 2);
  const ParsedMessage parsed = parse_message(message, format, context);

  require(parsed.priority.value <= kPriorityMax);
  require(parsed.slice_offset <= message.size());
  require(parsed.message_start <= message.size() - parsed.slice_offset);
  require_inside(parsed.host, message, limits::kHostBytesMax);
  require_inside(parsed.identifier, message, limits::kIdentifierBytesMax);
  require_inside(parsed.procid, message.substr(0, parsed.slice_offset), limits::kProcidBytesMax);
  require_inside(parsed.msgid, message.substr(0, parsed.slice_offset), limits::kMsgidBytesMax);
  if (parsed.flags.malformed())
    require(parsed.slice_offset == 0 && parsed.flags.format() == RecordFormat::raw);
  if (parsed.flags.format() == RecordFormat::rfc5424) {
    const RecordView record = as_record(message, parsed);
    const std::string_view structured = record.structured_data();
    require(structured.empty() || structured_data_bytes(structured) == structured.size());
  }
  render(as_record(message, parsed));
  return 0;
}
