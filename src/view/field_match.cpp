#include "view/field_match.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "record/structured_data.hpp"

namespace fastlogd::view {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (text.empty() || status != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_flag(std::string_view text) {
  if (text == "true") return 1;
  if (text == "false") return 0;
  return std::nullopt;
}

std::optional<std::uint64_t> parse_format(std::string_view text) {
  if (text == "raw") return static_cast<std::uint64_t>(RecordFormat::raw);
  if (text == "rfc3164") return static_cast<std::uint64_t>(RecordFormat::rfc3164);
  if (text == "rfc5424") return static_cast<std::uint64_t>(RecordFormat::rfc5424);
  return std::nullopt;
}

template <class T>
std::optional<std::uint64_t> widen(std::optional<T> value) {
  return value ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

bool same_id(std::uint32_t id, std::uint64_t number) {
  return id != kUnknownId && id == number;
}

}  // namespace

Result<FieldMatch::Key> FieldMatch::parse_key(const std::string& field) {
  static constexpr std::array<std::pair<std::string_view, Key>, 15> kKeys{{
      {"seq", Key::seq},
      {"severity", Key::severity},
      {"facility", Key::facility},
      {"transport", Key::transport},
      {"uid", Key::uid},
      {"gid", Key::gid},
      {"pid", Key::pid},
      {"host", Key::host},
      {"identifier", Key::identifier},
      {"procid", Key::procid},
      {"msgid", Key::msgid},
      {"format", Key::format},
      {"truncated", Key::truncated},
      {"malformed", Key::malformed},
      {"message", Key::message},
  }};
  for (const auto& [name, key] : kKeys) {
    if (name == field) return key;
  }
  if (field == "time" || field == "sender_time") {
    return invalid(fmt::format("'{}' can't be compared for equality; use --since and --until", field));
  }
  return Key::param;
}

Result<FieldMatch> FieldMatch::compile(const FieldCondition& condition) {
  const auto key = parse_key(condition.field);
  if (!key) return key.error();
  FieldMatch match;
  match.key_ = *key;
  match.field_ = condition.field;
  match.text_ = condition.value;
  if (auto parsed = match.parse_value(); !parsed) return parsed.error();
  return match;
}

Result<> FieldMatch::parse_value() {
  std::optional<std::uint64_t> number = 0;
  switch (key_) {
    case Key::seq:
    case Key::uid:
    case Key::gid:
    case Key::pid:
      number = parse_number(text_);
      break;
    case Key::severity:
      number = widen(parse_severity(text_));
      break;
    case Key::facility:
      number = widen(parse_facility(text_));
      break;
    case Key::format:
      number = parse_format(text_);
      break;
    case Key::truncated:
    case Key::malformed:
      number = parse_flag(text_);
      break;
    case Key::transport:
    case Key::host:
    case Key::identifier:
    case Key::procid:
    case Key::msgid:
    case Key::message:
    case Key::param:
      break;
  }
  if (!number) return invalid(fmt::format("'{}' is not a value that {} can have", text_, field_));
  number_ = *number;
  return {};
}

bool FieldMatch::equals(const RecordView& record) const {
  switch (key_) {
    case Key::seq:
      return record.sequence.value == number_;
    case Key::severity:
      return static_cast<std::uint64_t>(record.priority.severity()) == number_;
    case Key::facility:
      return record.priority.facility() == number_;
    case Key::transport:
      return transport_name(record.source.transport) == text_;
    case Key::uid:
      return same_id(record.source.uid, number_);
    case Key::gid:
      return same_id(record.source.gid, number_);
    case Key::pid:
      return same_id(record.source.pid, number_);
    case Key::host:
      return record.source.host == text_;
    case Key::identifier:
      return record.source.identifier == text_;
    case Key::procid:
      return record.procid == text_;
    case Key::msgid:
      return record.msgid == text_;
    case Key::format:
      return static_cast<std::uint64_t>(record.flags.format()) == number_;
    case Key::truncated:
      return record.flags.truncated() == (number_ == 1);
    case Key::malformed:
      return record.flags.malformed() == (number_ == 1);
    case Key::message:
      return record.message() == text_;
    case Key::param:
      return param_equals(record);
  }
  return false;
}

// `name` alone, or `element.name`. Both may hold dots, so the whole is compared, never taken apart.
bool FieldMatch::param_equals(const RecordView& record) const {
  const std::string_view field = field_;
  StructuredDataReader reader(record.structured_data());
  StructuredParam param;
  while (reader.next(param)) {
    const bool bare = param.name == field;
    const bool qualified = field.size() == param.element.size() + 1 + param.name.size() &&
                           field[param.element.size()] == '.' && field.starts_with(param.element) &&
                           field.ends_with(param.name);
    if ((bare || qualified) && !param.name.empty() && unescaped_equals(param.raw_value, text_)) return true;
  }
  return false;
}

}  // namespace fastlogd::view
