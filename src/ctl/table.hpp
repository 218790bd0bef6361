// Rows of facts, for people or as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fastlogd::ctl {

/// One fact in both forms.
struct Cell {
  std::string text;  ///< for people
  std::string json;  ///< serialized
  bool number = false;

  /// Control characters as escapes for people.
  [[nodiscard]] static Cell of_text(const std::string& text);
  [[nodiscard]] static Cell of_number(std::uint64_t number);
  /// A number that is never 0 (a sequence number): 0 means unknown.
  [[nodiscard]] static Cell of_known(std::uint64_t number);
  /// "1.5MiB", and the number of bytes in JSON.
  [[nodiscard]] static Cell of_bytes(std::uint64_t bytes);
  /// Local time, RFC 3339 in UTC in JSON; 0 means unknown: "-" and null.
  [[nodiscard]] static Cell of_time(std::int64_t time_ns);
  [[nodiscard]] static Cell of_bool(bool value, const std::string& yes, const std::string& no);
  /// "-" and null.
  [[nodiscard]] static Cell unknown();
};

class Table {
 public:
  /// Column names: the keys in JSON; headings in capitals, underscores as spaces.
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  /// Aligned, numbers to the right; the last column as long as it is.
  [[nodiscard]] std::string to_text() const;
  /// An array of objects, one line each.
  [[nodiscard]] std::string to_json() const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace fastlogd::ctl
