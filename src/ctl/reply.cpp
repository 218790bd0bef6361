#include "ctl/reply.hpp"

#include <algorithm>
#include <string_view>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace fastlogd::ctl {
namespace {

namespace json = boost::json;

std::string plain(const json::value& value) {
  if (const auto* text = value.if_string()) return {text->data(), text->size()};
  return json::serialize(value);
}

std::vector<std::string> strings(const json::object& object, std::string_view key) {
  std::vector<std::string> all;
  const auto* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_array()) return all;
  for (const auto& element : value->get_array()) all.push_back(plain(element));
  return all;
}

bool is_flat(const json::value& value) {
  if (!value.is_object()) return false;
  const auto& object = value.get_object();
  return std::none_of(object.begin(), object.end(),
                      [](const auto& member) { return member.value().is_structured(); });
}

std::string indented(std::size_t depth) {
  return std::string(depth * 2, ' ');
}

void append_line(std::string& out, const json::value& value, std::size_t depth) {
  out += indented(depth);
  out += plain(value);
  out += '\n';
}

constexpr std::size_t kTableColumnsMax = 8;  // more don't fit a screen

bool is_table(const json::array& array) {
  return !array.empty() && std::all_of(array.begin(), array.end(), is_flat) &&
         array.front().get_object().size() <= kTableColumnsMax;
}

/// Columns are the keys of the first row.
void append_table(std::string& out, const json::array& rows, std::size_t depth) {
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& member : rows.front().get_object()) cells.front().emplace_back(member.key());
  for (const auto& row : rows) {
    std::vector<std::string> line;
    for (const auto& key : cells.front()) {
      const auto* value = row.get_object().if_contains(key);
      line.push_back(value == nullptr ? "" : plain(*value));
    }
    cells.push_back(std::move(line));
  }
  std::vector<std::size_t> widths(cells.front().size());
  for (const auto& line : cells) {
    for (std::size_t n = 0; n < line.size(); ++n) widths[n] = std::max(widths[n], line[n].size());
  }
  for (const auto& line : cells) {
    std::string text = indented(depth);
    for (std::size_t n = 0; n < line.size(); ++n) text += fmt::format("{:<{}}  ", line[n], widths[n]);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text;
    out += '\n';
  }
}

void append_value(std::string& out, const json::value& value, std::size_t depth);

void append_member(std::string& out, std::string_view key, const json::value& value, std::size_t depth) {
  out += indented(depth);
  out += key;
  out += ':';
  const bool empty =
      (value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty());
  if (empty) {
    out += " none\n";
  } else if (value.is_structured()) {
    out += "\n";
    append_value(out, value, depth + 1);
  } else {
    out += ' ';
    out += plain(value);
    out += '\n';
  }
}

void append_value(std::string& out, const json::value& value, std::size_t depth) {
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object)
      append_member(out, {member.key().data(), member.key().size()}, member.value(), depth);
  } else if (const auto* array = value.if_array()) {
    if (is_table(*array)) return append_table(out, *array, depth);
    for (const auto& element : *array) {
      if (element.is_structured()) {
        const std::size_t begin = out.size();
        append_value(out, element, depth + 1);
        if (out.size() > begin) out[begin + depth * 2] = '-';
      } else {
        append_line(out, element, depth);
      }
    }
  } else {
    append_line(out, value, depth);
  }
}

/// What is no reply of ours, or says nothing, as one line.
std::string said_otherwise(const ControlReply& reply) {
  std::string_view body = reply.body;
  while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.remove_suffix(1);
  return fmt::format("the daemon answered {}{}{}", reply.status, body.empty() ? "" : ": ", body);
}

}  // namespace

ParsedReply parse_reply(const ControlReply& reply) {
  ParsedReply parsed;
  boost::system::error_code error;
  const json::value value = json::parse(reply.body, error);
  if (error || !value.is_object()) {
    parsed.error = said_otherwise(reply);
    return parsed;
  }
  const json::object& object = value.get_object();
  const auto* ok = object.if_contains("ok");
  parsed.ok = reply.status < 300 && ok != nullptr && ok->is_bool() && ok->get_bool();
  parsed.changes = strings(object, "changes");
  parsed.restart_needed = strings(object, "restart_needed");
  parsed.problems = strings(object, "problems");
  if (const auto* text = object.if_contains("error")) parsed.error = plain(*text);
  if (!parsed.ok && parsed.error.empty() && parsed.problems.empty()) {
    parsed.error = said_otherwise(reply);
  }
  return parsed;
}

StatusFacts parse_status(const std::string& body) {
  StatusFacts facts;
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error || !value.is_object()) return facts;
  const auto text = [](const json::value& of, std::string_view key) -> std::string {
    const auto* object = of.if_object();
    const auto* found = object != nullptr ? object->if_contains({key.data(), key.size()}) : nullptr;
    return found != nullptr ? plain(*found) : std::string();
  };
  if (const auto* configuration = value.get_object().if_contains("configuration")) {
    facts.config_path = text(*configuration, "path");
  }
  const auto* streams = value.get_object().if_contains("streams");
  if (streams == nullptr || !streams->is_array()) return facts;
  for (const auto& stream : streams->get_array()) {
    facts.streams.push_back({text(stream, "name"), text(stream, "directory")});
  }
  return facts;
}

std::string json_for_people(const std::string& text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return text;
  std::string out;
  append_value(out, value, 0);
  return out;
}

}  // namespace fastlogd::ctl
