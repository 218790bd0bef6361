#include "ctl/table.hpp"

#include <algorithm>
#include <cctype>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/units.hpp"
#include "view/local_time.hpp"
#include "view/text.hpp"
#include "view/utf8.hpp"

namespace fastlogd::ctl {
namespace {

std::string heading(const std::string& column) {
  std::string text = column;
  for (char& c : text) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

Cell Cell::of_text(const std::string& text) {
  Cell cell;
  // Senders' names may hold what a terminal obeys.
  view::append_escaped(cell.text, text.empty() ? std::string_view("-") : std::string_view(text));
  cell.json =
      view::escape_high_controls(view::to_valid_utf8(boost::json::serialize(boost::json::string(text))));
  return cell;
}

Cell Cell::of_number(std::uint64_t number) {
  return {fmt::format("{}", number), fmt::format("{}", number), true};
}

Cell Cell::of_known(std::uint64_t number) {
  return number == 0 ? unknown() : of_number(number);
}

Cell Cell::of_bytes(std::uint64_t bytes) {
  return {format_bytes(bytes), fmt::format("{}", bytes), true};
}

Cell Cell::of_time(std::int64_t time_ns) {
  if (time_ns == 0) return unknown();
  Cell cell;
  view::LocalTime().append_iso(cell.text, time_ns);
  cell.json += '"';
  view::append_utc(cell.json, time_ns);
  cell.json += '"';
  return cell;
}

Cell Cell::of_bool(bool value, const std::string& yes, const std::string& no) {
  return {value ? yes : no, value ? "true" : "false"};
}

Cell Cell::unknown() {
  return {"-", "null"};
}

std::string Table::to_text() const {
  std::vector<std::size_t> widths;
  widths.reserve(columns_.size());
  for (const auto& column : columns_) widths.push_back(column.size());
  for (const auto& row : rows_) {
    for (std::size_t n = 0; n < row.size(); ++n) widths[n] = std::max(widths[n], row[n].text.size());
  }
  std::string out;
  const auto append_cell = [&](const std::string& text, std::size_t column, bool right) {
    if (column > 0) out += "  ";
    const bool last = column + 1 == columns_.size();
    if (right) {
      out += fmt::format("{:>{}}", text, widths[column]);
    } else {
      out += last ? text : fmt::format("{:<{}}", text, widths[column]);
    }
  };
  for (std::size_t n = 0; n < columns_.size(); ++n) {
    append_cell(heading(columns_[n]), n, !rows_.empty() && rows_.front()[n].number);
  }
  out += '\n';
  for (const auto& row : rows_) {
    for (std::size_t n = 0; n < row.size(); ++n) append_cell(row[n].text, n, row[n].number);
    out += '\n';
  }
  return out;
}

std::string Table::to_json() const {
  std::string out = "[";
  for (const auto& row : rows_) {
    out += &row == &rows_.front() ? "\n {" : ",\n {";
    for (std::size_t n = 0; n < row.size(); ++n) {
      out += fmt::format("{}\"{}\": {}", n > 0 ? ", " : "", columns_[n], row[n].json);
    }
    out += '}';
  }
  out += rows_.empty() ? "]\n" : "\n]\n";
  return out;
}

}  // namespace fastlogd::ctl
