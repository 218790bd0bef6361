// What tail, cat and grep have in common on the command line, and what it means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "ctl/target.hpp"
#include "record/log_position.hpp"
#include "record/record_view.hpp"
#include "view/filter.hpp"
#include "view/text.hpp"

namespace CLI {
class App;
}

namespace fastlogd::ctl {

/// The words as they were typed.
struct ReadArguments {
  TargetOptions target;
  std::string since;
  std::string until;
  std::string priority;
  std::vector<std::string> identifiers;
  std::vector<std::string> excluded;
  std::string pattern;
  std::string output = "short";
  std::string after_cursor;
  std::vector<std::string> words;  ///< STREAM, FIELD=VALUE and FIELD!=VALUE
  std::string lines;               ///< tail: "N" or "all"
  bool reverse = false;
  bool follow = false;
  bool show_cursor = false;
  bool no_pager = false;
};

/// A place to go on at: "p=<position, hex>;s=<last sequence>".
struct Cursor {
  LogPosition position;
  Sequence sequence;
};
[[nodiscard]] std::string format_cursor(const Cursor& cursor);
/// What --show-cursor puts in front of one; parse_cursor() takes the line whole.
inline constexpr std::string_view kCursorLine = "-- cursor: ";
[[nodiscard]] Result<Cursor> parse_cursor(std::string_view text);

/// What is to be read and how it is shown.
struct ReadRequest {
  Stream stream;
  view::RecordFilter filter;
  bool filtered = false;  ///< the filter may refuse a record
  bool only_time = true;  ///< nothing but time restricts: gaps are shown too
  view::OutputFormat format = view::OutputFormat::short_form;
  std::optional<std::uint64_t> lines;  ///< the newest so many; nothing: all
  std::optional<Cursor> after;
  bool reverse = false;
  bool follow = false;
  bool show_cursor = false;
  bool pager = true;
};

void add_read_options(CLI::App& command, ReadArguments& arguments);

/// Throws Failure(usage) with the reason.
[[nodiscard]] ReadRequest understand(const ReadArguments& arguments, std::int64_t now_ns);

}  // namespace fastlogd::ctl
