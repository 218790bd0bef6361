#include "ctl/read_request.hpp"

#include <charconv>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ctl/failure.hpp"
#include "view/time_spec.hpp"

namespace fastlogd::ctl {
namespace {

template <class T>
T or_usage(Result<T> result) {
  if (!result) throw Failure(ExitCode::usage, result.error().context);
  return std::move(*result);
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// STREAM has no equals sign; everything else is a condition.
void understand_words(const ReadArguments& arguments, TargetOptions& target, view::FilterSpec& spec) {
  for (const auto& word : arguments.words) {
    if (word.find('=') != std::string::npos) {
      spec.fields.push_back(or_usage(view::parse_field_condition(word)));
    } else if (target.stream.empty()) {
      target.stream = word;
    } else {
      throw Failure(ExitCode::usage,
                    fmt::format("two streams, {} and {}; conditions are FIELD=VALUE", target.stream, word));
    }
  }
}

view::FilterSpec understand_filter(const ReadArguments& arguments, std::int64_t now_ns) {
  view::FilterSpec spec;
  if (!arguments.since.empty()) spec.since_ns = or_usage(view::parse_time(arguments.since, now_ns));
  if (!arguments.until.empty()) spec.until_ns = or_usage(view::parse_time(arguments.until, now_ns));
  if (spec.since_ns > spec.until_ns) throw Failure(ExitCode::usage, "--since is later than --until");
  if (!arguments.priority.empty()) spec.severity = or_usage(view::parse_severity_range(arguments.priority));
  spec.identifiers = arguments.identifiers;
  spec.excluded_identifiers = arguments.excluded;
  spec.pattern = arguments.pattern;
  return spec;
}

std::optional<std::uint64_t> understand_lines(const std::string& lines) {
  if (lines.empty() || lines == "all") return std::nullopt;
  const auto count = number(lines, 10);
  if (!count) throw Failure(ExitCode::usage, "-n takes a number or all, not " + lines);
  return count;
}

}  // namespace

std::string format_cursor(const Cursor& cursor) {
  return fmt::format("p={:x};s={}", cursor.position.value, cursor.sequence.value);
}

Result<Cursor> parse_cursor(std::string_view text) {
  if (text.starts_with(kCursorLine)) text.remove_prefix(kCursorLine.size());
  const std::size_t middle = text.find(";s=");
  if (text.starts_with("p=") && middle != std::string_view::npos) {
    const auto position = number(text.substr(2, middle - 2), 16);
    const auto sequence = number(text.substr(middle + 3), 10);
    if (position && sequence) return Cursor{LogPosition{*position}, Sequence{*sequence}};
  }
  return invalid(fmt::format("not a cursor: {} (--show-cursor prints one: p=...;s=...)", text));
}

void add_read_options(CLI::App& command, ReadArguments& arguments) {
  add_target_options(command, arguments.target);
  command
      .add_option("-S,--since", arguments.since,
                  "Received at or after: -1h, yesterday, 2026-11-22 10:00, RFC 3339")
      ->type_name("TIME");
  command.add_option("-U,--until", arguments.until, "Received at or before")->type_name("TIME");
  command
      .add_option("-p,--priority", arguments.priority, "Severity: err (and worse), warning..alert, or ..err")
      ->type_name("RANGE");
  command.add_option("-t,--identifier", arguments.identifiers, "Only this identifier; may be given again")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command
      .add_option("-T,--exclude-identifier", arguments.excluded, "Not this identifier; may be given again")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_option("-o,--output", arguments.output, "short, short-iso, short-precise, json, cat or raw")
      ->type_name("FORMAT")
      ->capture_default_str();
  command
      .add_option("--after-cursor", arguments.after_cursor,
                  "Go on behind the place that --show-cursor printed")
      ->type_name("CURSOR");
  command.add_flag("--show-cursor", arguments.show_cursor, "Print the place reached, last");
  command.add_flag("--no-pager", arguments.no_pager, "No pager, even on a terminal");
  command.add_option("WORDS", arguments.words, "[STREAM] [FIELD=VALUE | FIELD!=VALUE]...");
}

ReadRequest understand(const ReadArguments& arguments, std::int64_t now_ns) {
  TargetOptions target = arguments.target;
  view::FilterSpec spec = understand_filter(arguments, now_ns);
  understand_words(arguments, target, spec);
  const view::SeverityRange all;
  const bool by_time = spec.since_ns != INT64_MIN || spec.until_ns != INT64_MAX;
  const bool by_content = spec.severity.most != all.most || spec.severity.least != all.least ||
                          !spec.identifiers.empty() || !spec.excluded_identifiers.empty() ||
                          !spec.pattern.empty() || !spec.fields.empty();
  const auto format = view::parse_output_format(arguments.output);
  if (!format) {
    throw Failure(ExitCode::usage, "no output format " + arguments.output +
                                       "; there are: short, short-iso, short-precise, json, cat, raw");
  }
  if (arguments.follow && arguments.reverse) throw Failure(ExitCode::usage, "-f and -r exclude each other");
  ReadRequest request{.stream = {}, .filter = or_usage(view::RecordFilter::compile(std::move(spec)))};
  request.filtered = by_time || by_content;
  request.only_time = !by_content;
  request.format = *format;
  request.lines = understand_lines(arguments.lines);
  if (!arguments.after_cursor.empty()) request.after = or_usage(parse_cursor(arguments.after_cursor));
  request.reverse = arguments.reverse;
  request.follow = arguments.follow;
  request.show_cursor = arguments.show_cursor;
  request.pager = !arguments.no_pager && !arguments.follow;
  request.stream = choose_stream(target);
  return request;
}

}  // namespace fastlogd::ctl
