#include "view/text.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "view/json.hpp"

namespace fastlogd::view {
namespace {

constexpr std::array<std::pair<std::string_view, OutputFormat>, 6> kFormats{{
    {"short", OutputFormat::short_form},
    {"short-iso", OutputFormat::short_iso},
    {"short-precise", OutputFormat::short_precise},
    {"json", OutputFormat::json},
    {"cat", OutputFormat::cat},
    {"raw", OutputFormat::raw},
}};

constexpr std::string_view kColourOff = "\x1b[0m";

/// What journalctl(1) paints: red for err and worse, yellow for warnings, bold for notices, grey for debug.
std::string_view colour_of(Severity severity) {
  if (severity <= Severity::err) return "\x1b[1;31m";
  if (severity == Severity::warning) return "\x1b[1;33m";
  if (severity == Severity::notice) return "\x1b[1m";
  if (severity == Severity::debug) return "\x1b[90m";
  return {};
}

constexpr unsigned char kC1Lead =
    0xc2;  // U+0080..U+009F, a terminal's other control characters, are c2 80 .. c2 9f

bool byte_may_need_escape(unsigned char byte) {
  return (byte < 0x20 && byte != '\t') || byte == 0x7f || byte == kC1Lead;
}

#if defined(__SSE2__)
__m128i load16(const char* at) {
  __m128i bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

/// Does `test` find a byte in `text` (16 bytes or more)? The last step looks at some bytes again.
template <class Test>
bool any_byte(std::string_view text, Test test) {
  constexpr std::size_t kStep = sizeof(__m128i);
  __m128i found = test(load16(text.data() + text.size() - kStep));
  for (std::size_t i = 0; i + kStep < text.size(); i += kStep) {
    found = _mm_or_si128(found, test(load16(text.data() + i)));
  }
  return _mm_movemask_epi8(found) != 0;
}

/// Signed and one higher, everything but 0x20..0x7e is below 0x21: two instructions.
__m128i not_printable_ascii(__m128i bytes) {
  return _mm_cmplt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8(1)), _mm_set1_epi8(0x21));
}

__m128i may_need_escape(__m128i bytes) {
  const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
  const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  const __m128i c1_lead = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(static_cast<char>(kC1Lead)));
  return _mm_or_si128(_mm_andnot_si128(tab, control), _mm_or_si128(del, c1_lead));
}
#endif

/// Says yes a little too often (any 0xc2). This runs over every byte of the text file, and most of it is ASCII.
bool may_need_escape(std::string_view text) {
#if defined(__SSE2__)
  if (text.size() >= sizeof(__m128i)) {
    return any_byte(text, not_printable_ascii) &&
           any_byte(text, [](__m128i bytes) { return may_need_escape(bytes); });
  }
#endif
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return byte_may_need_escape(static_cast<unsigned char>(c)); });
}

void append_hex_escape(std::string& out, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

bool is_local(Transport transport) {
  return transport != Transport::tcp && transport != Transport::udp && transport != Transport::unknown;
}

}  // namespace

std::optional<OutputFormat> parse_output_format(std::string_view name) {
  for (const auto& [known, format] : kFormats) {
    if (known == name) return format;
  }
  return std::nullopt;
}

void append_escaped(std::string& out, std::string_view text) {
  if (!may_need_escape(text)) {
    out += text;
    return;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next =
        i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : static_cast<unsigned char>(0);
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\r') {
      out += "\\r";
    } else if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
      append_hex_escape(out, byte);
    } else if (byte == kC1Lead && next >= 0x80 && next <= 0x9f) {
      append_hex_escape(out, byte);
      append_hex_escape(out, next);
      ++i;
    } else {
      out += text[i];
    }
  }
}

RecordRenderer::RecordRenderer(TextOptions options) : options_(std::move(options)) {}

void RecordRenderer::append(std::string& out, const RecordView& record) {
  switch (options_.format) {
    case OutputFormat::json:
      append_json(out, record);
      break;
    case OutputFormat::raw:
      out += record.slice;
      break;
    case OutputFormat::cat:
      append_message(out, record);
      break;
    case OutputFormat::short_form:
    case OutputFormat::short_iso:
    case OutputFormat::short_precise:
      append_head(out, record);
      append_message(out, record);
      break;
  }
  out += '\n';
}

void RecordRenderer::append_head(std::string& out, const RecordView& record) {
  const bool same_sender = !sender_.text.empty() && sender_.is_of(record);
  if (!same_sender) remember_sender(record);
  if (options_.format == OutputFormat::short_precise) {
    append_time(out, record.receive_time_ns);
    out += sender_.text;
    return;
  }
  if (!same_sender || !head_.holds_at(record.receive_time_ns)) {
    head_.begin(record.receive_time_ns);
    append_time(head_.text, record.receive_time_ns);
    head_.text += sender_.text;
  }
  out += head_.text;
}

void RecordRenderer::append_time(std::string& out, std::int64_t time_ns) {
  if (options_.format == OutputFormat::short_iso) {
    local_time_.append_iso(out, time_ns);
  } else if (options_.format == OutputFormat::short_precise) {
    local_time_.append_precise(out, time_ns);
  } else {
    local_time_.append_short(out, time_ns);
  }
}

bool RecordRenderer::Sender::is_of(const RecordView& record) const {
  const SourceView& source = record.source;
  return pid == source.pid && transport == source.transport && procid == record.procid &&
         identifier == source.identifier && host == source.host;
}

void RecordRenderer::remember_sender(const RecordView& record) {
  const SourceView& source = record.source;
  sender_.transport = source.transport;
  sender_.pid = source.pid;
  sender_.host = source.host;
  sender_.identifier = source.identifier;
  sender_.procid = record.procid;
  sender_.text.clear();
  render_sender(sender_.text, record);
}

// ` host ident[pid]: `. Claims are escaped always: a process may have a newline in its name.
void RecordRenderer::render_sender(std::string& out, const RecordView& record) const {
  const SourceView& source = record.source;
  out += ' ';
  if (!source.host.empty()) {
    append_escaped(out, source.host);
  } else if (is_local(source.transport)) {
    out += options_.local_host;
  } else {
    out += '-';
  }
  out += ' ';
  append_escaped(out, source.identifier.empty() ? std::string_view("unknown") : source.identifier);
  if (!record.procid.empty()) {
    out += '[';
    append_escaped(out, record.procid);
    out += ']';
  } else if (source.pid != kUnknownId) {
    const fmt::format_int pid(source.pid);
    out += '[';
    out.append(pid.data(), pid.size());
    out += ']';
  }
  out += ": ";
}

void RecordRenderer::append_message(std::string& out, const RecordView& record) const {
  std::string_view message = record.message();
  const std::string_view colour =
      options_.colour ? colour_of(record.priority.severity()) : std::string_view{};
  out += colour;
  if (options_.escape) {
    if (message.ends_with('\r')) message.remove_suffix(1);
    append_escaped(out, message);
  } else {
    out += message;
  }
  if (!colour.empty()) out += kColourOff;
}

void RecordRenderer::append_gap(std::string& out, const GapView& gap) {
  if (options_.format == OutputFormat::raw || options_.format == OutputFormat::cat) return;
  if (options_.format == OutputFormat::json) {
    append_gap_json(out, gap);
    out += '\n';
    return;
  }
  auto to = std::back_inserter(out);
  if (gap.reason == ingress::LossReason::durability_unknown) {
    fmt::format_to(to, "-- gap: records {} to {} may not be on disk", gap.first.value, gap.last.value);
  } else if (gap.first.value != 0) {
    fmt::format_to(to, "-- gap: records {} to {} are missing", gap.first.value, gap.last.value);
  } else if (gap.count != 0) {
    fmt::format_to(to, "-- gap: {} {} lost", gap.count, gap.count == 1 ? "record" : "records");
  } else {
    out += "-- gap: an unknown number of records lost";
  }
  fmt::format_to(to, " ({})", ingress::stored_reason_name(gap.reason));
  if (gap.from_ns != 0) {
    out += " after ";
    append_time(out, gap.from_ns);
  }
  if (gap.to_ns != 0) {
    out += " before ";
    append_time(out, gap.to_ns);
  }
  out += " --\n";
}

}  // namespace fastlogd::view
