#include "config/section.hpp"

#include <arpa/inet.h>
#include <linux/limits.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/units.hpp"
#include "config/suggest.hpp"

namespace fastlogd::config {
namespace {

constexpr std::size_t kShownBytesMax = 80;

/// A value in a message: quoted and not longer than a line.
std::string shown(std::string_view text) {
  if (text.size() <= kShownBytesMax) return fmt::format("'{}'", text);
  return fmt::format("'{}...'", text.substr(0, kShownBytesMax));
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool has_parent_reference(const std::filesystem::path& path) {
  return std::ranges::any_of(path, [](const std::filesystem::path& part) { return part == ".."; });
}

/// "010s", but not "0s" or "0.5s".
bool begins_with_needless_zero(const std::string& text) {
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

bool is_numeric_address(const std::string& text) {
  in6_addr storage{};
  return inet_pton(AF_INET, text.c_str(), &storage) == 1 || inet_pton(AF_INET6, text.c_str(), &storage) == 1;
}

}  // namespace

std::string_view kind_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::mapping:
      return "keys and values";
    case Node::Kind::scalar:
      break;
  }
  return "a single value";
}

Position ReadLog::position_of(std::string_view path) const {
  while (!path.empty()) {
    if (const auto at = positions_.find(path); at != positions_.end()) return at->second;
    const std::size_t dot = path.rfind('.');
    path = path.substr(0, dot == std::string_view::npos ? 0 : dot);
  }
  return {};
}

Section::Section(const Node& node, std::string path, ReadLog& log)
    : node_(node), path_(std::move(path)), log_(log) {
  if (node.kind == Node::Kind::mapping) return;
  log.complain(node.at, fmt::format("'{}' must hold keys and values, not {}", path_, kind_name(node)));
}

std::string Section::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const Node* Section::find(std::string_view key) {
  known_.push_back(key);
  const Entry* entry = node_.find(key);
  if (entry == nullptr) return nullptr;
  log_.remember(path_of(key), entry->value.kind == Node::Kind::scalar ? entry->value.at : entry->at);
  return &entry->value;
}

void Section::not_yet(std::initializer_list<std::string_view> keys) {
  not_yet_.insert(not_yet_.end(), keys.begin(), keys.end());
}

void Section::complain(std::string_view key, std::string message) {
  log_.complain(log_.position_of(path_of(key)), std::move(message));
}

const Node* Section::scalar(std::string_view key, std::string_view what) {
  const Node* node = find(key);
  if (node == nullptr || node->kind == Node::Kind::scalar) return node;
  complain(key, fmt::format("'{}' must be {}, not {}", key, what, kind_name(*node)));
  return nullptr;
}

void Section::text(std::string_view key, std::string& into) {
  if (const Node* node = scalar(key, "text")) into = node->text;
}

void Section::path(std::string_view key, std::string& into) {
  const Node* node = scalar(key, "a path");
  if (node == nullptr) return;
  const std::filesystem::path path = node->text;
  if (!path.is_absolute()) {
    complain(key, fmt::format("{} is not an absolute path; it must begin with '/'", shown(node->text)));
  } else if (has_control_character(node->text)) {
    complain(key, fmt::format("'{}' holds a control character", key));
  } else if (has_parent_reference(path)) {
    complain(key, fmt::format("{} must not hold '..'", shown(node->text)));
  } else if (node->text.size() >= PATH_MAX) {
    complain(key,
             fmt::format("{} is longer than the {} bytes a path may have", shown(node->text), PATH_MAX - 1));
  } else {
    std::string normal = path.lexically_normal();
    while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
    into = std::move(normal);
  }
}

void Section::boolean(std::string_view key, bool& into) {
  const Node* node = scalar(key, "true or false");
  if (node == nullptr) return;
  if (!node->quoted && node->text == "true") {
    into = true;
  } else if (!node->quoted && node->text == "false") {
    into = false;
  } else {
    complain(key, fmt::format("{} is not true or false", shown(node->text)));
  }
}

bool Section::read_bytes(std::string_view key, std::uint64_t& into) {
  const Node* node = scalar(key, "a size such as 64MiB");
  if (node == nullptr) return false;
  const auto value = parse_bytes(node->text);
  if (begins_with_needless_zero(node->text)) {
    complain(key, fmt::format("{} begins with 0, which some readers take for octal", shown(node->text)));
  } else if (!value) {
    complain(key, value.error().context);
  } else {
    into = *value;
    return true;
  }
  return false;
}

void Section::bytes(std::string_view key, std::uint64_t& into, std::uint64_t min, std::uint64_t max) {
  std::uint64_t value = 0;
  if (!read_bytes(key, value)) return;
  if (value < min || value > max) {
    complain(key, fmt::format("'{}' must be from {} to {}", key, format_bytes(min), format_bytes(max)));
  } else {
    into = value;
  }
}

void Section::bytes_power_of_two(std::string_view key, std::uint64_t& into, std::uint64_t min,
                                 std::uint64_t max) {
  std::uint64_t value = 0;
  if (!read_bytes(key, value)) return;
  if (value >= min && value <= max && std::has_single_bit(value)) {
    into = value;
    return;
  }
  const std::uint64_t nearest = std::clamp(std::bit_floor(value), min, max);
  complain(key, fmt::format("'{}' must be a power of two from {} to {}, such as {}", key, format_bytes(min),
                            format_bytes(max), format_bytes(nearest)));
}

void Section::bytes_or_zero(std::string_view key, std::uint64_t& into, std::uint64_t min) {
  std::uint64_t value = 0;
  if (!read_bytes(key, value)) return;
  if (value != 0 && value < min) {
    complain(key, fmt::format("'{}' must be at least {}, or 0 for no limit", key, format_bytes(min)));
  } else {
    into = value;
  }
}

bool Section::read_duration(std::string_view key, std::chrono::nanoseconds& into) {
  const Node* node = scalar(key, "a duration such as 100ms, 1s or 30d");
  if (node == nullptr) return false;
  const auto value = parse_duration(node->text);
  if (begins_with_needless_zero(node->text)) {
    complain(key, fmt::format("{} begins with 0, which some readers take for octal", shown(node->text)));
  } else if (!value) {
    complain(key, value.error().context);
  } else {
    into = *value;
    return true;
  }
  return false;
}

void Section::duration(std::string_view key, std::chrono::nanoseconds& into, std::chrono::nanoseconds min,
                       std::chrono::nanoseconds max) {
  std::chrono::nanoseconds value{};
  if (!read_duration(key, value)) return;
  if (value < min || value > max) {
    const std::string from = min.count() == 0 ? "0" : format_duration(min);
    complain(key, fmt::format("'{}' must be from {} to {}", key, from, format_duration(max)));
  } else {
    into = value;
  }
}

void Section::duration_or_zero(std::string_view key, std::chrono::nanoseconds& into,
                               std::chrono::nanoseconds min) {
  std::chrono::nanoseconds value{};
  if (!read_duration(key, value)) return;
  if (value.count() != 0 && value < min) {
    complain(key, fmt::format("'{}' must be at least {}, or 0 for no limit", key, format_duration(min)));
  } else {
    into = value;
  }
}

bool Section::read_number(std::string_view key, unsigned& into) {
  const Node* node = scalar(key, "a whole number");
  if (node == nullptr) return false;
  const std::string& text = node->text;
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (node->quoted) {
    complain(key, fmt::format("'{}' must be a number without quotes", key));
  } else if (text.size() > 1 && text[0] == '0') {
    complain(key, fmt::format("{} begins with 0, which some readers take for octal", shown(text)));
  } else if (status == std::errc::result_out_of_range) {
    complain(key, fmt::format("{} is too large", shown(text)));
  } else if (status != std::errc{} || stop != end) {
    complain(key, fmt::format("{} is not a whole number", shown(text)));
  } else {
    into = value;
    return true;
  }
  return false;
}

void Section::number(std::string_view key, unsigned& into, unsigned min, unsigned max) {
  unsigned value = 0;
  if (!read_number(key, value)) return;
  if (value < min || value > max) {
    complain(key, fmt::format("'{}' must be from {} to {}", key, min, max));
  } else {
    into = value;
  }
}

void Section::port(std::string_view key, std::uint16_t& into) {
  unsigned value = into;
  number(key, value, 0, 65535);
  into = static_cast<std::uint16_t>(value);
}

void Section::file_mode(std::string_view key, unsigned& into) {
  const Node* node = scalar(key, "a mode such as \"0666\"");
  if (node == nullptr) return;
  const std::string& text = node->text;
  const bool octal = text.size() == 4 && text[0] == '0' &&
                     std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
  if (!octal) {
    complain(key,
             fmt::format("{} is not a file mode; write four octal digits such as \"0666\"", shown(text)));
    return;
  }
  std::from_chars(text.data(), text.data() + text.size(), into, 8);
}

void Section::address(std::string_view key, std::string& into) {
  const Node* node = scalar(key, "an address such as 127.0.0.1");
  if (node == nullptr) return;
  if (!is_numeric_address(node->text)) {
    complain(key, fmt::format("{} is not a numeric IPv4 or IPv6 address", shown(node->text)));
  } else {
    into = node->text;
  }
}

void Section::refuse_word(std::string_view key, const Node& node, std::span<const std::string_view> names,
                          std::span<const std::string_view> later) {
  if (std::ranges::find(later, node.text) != later.end()) {
    complain(key, fmt::format("{} {} is not supported yet; choose one of: {}", key, shown(node.text),
                              fmt::join(names, ", ")));
    return;
  }
  std::string message =
      fmt::format("{} is no {}; choose one of: {}", shown(node.text), key, fmt::join(names, ", "));
  if (const auto close = suggest(node.text, names)) message += fmt::format(" (did you mean '{}'?)", *close);
  complain(key, std::move(message));
}

void Section::finish() {
  for (const Entry& entry : node_.entries) {
    if (std::ranges::find(known_, entry.key) != known_.end()) continue;
    if (std::ranges::find(not_yet_, entry.key) != not_yet_.end()) {
      log_.complain(entry.at, fmt::format("'{}' is not supported yet", path_of(entry.key)));
      continue;
    }
    std::string message = fmt::format("unknown key {}", shown(path_of(entry.key)));
    if (const auto close = suggest(entry.key, known_)) {
      message += fmt::format("; did you mean '{}'?", *close);
    } else {
      message += fmt::format("; known here: {}", fmt::join(known_, ", "));
    }
    log_.complain(entry.at, std::move(message));
  }
}

}  // namespace fastlogd::config
