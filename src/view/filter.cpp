#include "view/filter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "view/field_match.hpp"

namespace fastlogd::view {
namespace {

constexpr std::string_view kMetacharacters = "\\^$.|?*+()[]{}";

bool has_upper(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}
bool has_lower_or_other(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80; });
}

/// A pattern that means itself and whose case matters can be looked for without an automaton.
bool is_plain_text(std::string_view pattern) {
  const bool ignores_case = !has_upper(pattern) && has_lower_or_other(pattern);
  return pattern.find_first_of(kMetacharacters) == std::string_view::npos && !ignores_case;
}

bool contains(const std::vector<std::string>& texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

std::unique_ptr<const RE2> compile_pattern(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(has_upper(pattern));
  return std::make_unique<const RE2>(pattern, options);
}

}  // namespace

Result<SeverityRange> parse_severity_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  const std::string_view low = text.substr(0, dots);
  const std::string_view high = dots == std::string_view::npos ? low : text.substr(dots + 2);
  const auto end_of_range = [text](std::string_view half, Severity open_end) {
    return half.empty() && text.size() > 2 ? open_end : parse_severity(half);
  };
  const std::optional<Severity> first = end_of_range(low, Severity::debug);
  const std::optional<Severity> second = end_of_range(high, Severity::emerg);
  if (!first || !second) {
    return invalid(fmt::format(
        "'{}' is not a severity; write emerg, alert, crit, err, warning, notice, info, debug, 0 to 7, "
        "or a range such as warning..alert, warning.. or ..err",
        first ? high : low));
  }
  if (dots == std::string_view::npos) return SeverityRange{Severity::emerg, *first};
  return SeverityRange{std::min(*first, *second), std::max(*first, *second)};
}

Result<FieldCondition> parse_field_condition(std::string_view text) {
  const std::size_t equals = text.find('=');
  const bool negated = equals != std::string_view::npos && equals > 0 && text[equals - 1] == '!';
  const std::size_t name_end = negated ? equals - 1 : equals;
  if (equals == std::string_view::npos || name_end == 0) {
    return invalid(fmt::format("'{}' is not a condition such as host=web1 or severity!=debug", text));
  }
  return FieldCondition{std::string(text.substr(0, name_end)), std::string(text.substr(equals + 1)),
                        !negated};
}

class RecordFilter::State {
 public:
  explicit State(FilterSpec spec) : spec_(std::move(spec)) {}

  Result<> compile() {
    for (const FieldCondition& condition : spec_.fields) {
      auto match = FieldMatch::compile(condition);
      if (!match) return match.error();
      place(std::move(*match), condition);
    }
    if (spec_.pattern.empty() || is_plain_text(spec_.pattern)) return {};
    pattern_ = compile_pattern(spec_.pattern);
    if (!pattern_->ok()) return invalid(fmt::format("pattern '{}': {}", spec_.pattern, pattern_->error()));
    return {};
  }

  [[nodiscard]] bool matches(const RecordView& record) const {
    if (record.receive_time_ns < spec_.since_ns || record.receive_time_ns > spec_.until_ns) return false;
    if (!spec_.severity.contains(record.priority.severity())) return false;
    const std::string_view identifier = record.source.identifier;
    if (!spec_.identifiers.empty() && !contains(spec_.identifiers, identifier)) return false;
    if (contains(spec_.excluded_identifiers, identifier)) return false;
    return fields_match(record) && message_matches(record.message());
  }

  [[nodiscard]] const FilterSpec& spec() const { return spec_; }

 private:
  /// One field with =, several times: any of them.
  struct Alternatives {
    std::string field;
    std::vector<FieldMatch> any_of;
  };

  void place(FieldMatch match, const FieldCondition& condition) {
    if (!condition.equal) {
      none_of_.push_back(std::move(match));
      return;
    }
    const auto same = std::find_if(all_of_.begin(), all_of_.end(),
                                   [&](const Alternatives& known) { return known.field == condition.field; });
    Alternatives& group =
        same != all_of_.end() ? *same : all_of_.emplace_back(Alternatives{condition.field, {}});
    group.any_of.push_back(std::move(match));
  }

  [[nodiscard]] bool fields_match(const RecordView& record) const {
    const auto holds = [&](const FieldMatch& match) { return match.equals(record); };
    return std::none_of(none_of_.begin(), none_of_.end(), holds) &&
           std::all_of(all_of_.begin(), all_of_.end(), [&](const Alternatives& group) {
             return std::any_of(group.any_of.begin(), group.any_of.end(), holds);
           });
  }

  [[nodiscard]] bool message_matches(std::string_view message) const {
    if (spec_.pattern.empty()) return true;
    if (pattern_) return RE2::PartialMatch(re2::StringPiece(message.data(), message.size()), *pattern_);
    return memmem(message.data(), message.size(), spec_.pattern.data(), spec_.pattern.size()) != nullptr;
  }

  FilterSpec spec_;
  std::unique_ptr<const RE2> pattern_;  // none: the pattern is plain text
  std::vector<Alternatives> all_of_;
  std::vector<FieldMatch> none_of_;
};

Result<RecordFilter> RecordFilter::compile(FilterSpec spec) {
  auto state = std::make_unique<State>(std::move(spec));
  if (auto compiled = state->compile(); !compiled) return compiled.error();
  return RecordFilter(std::move(state));
}

RecordFilter::RecordFilter(std::unique_ptr<const State> state) : state_(std::move(state)) {}
RecordFilter::RecordFilter(RecordFilter&&) noexcept = default;
RecordFilter& RecordFilter::operator=(RecordFilter&&) noexcept = default;
RecordFilter::~RecordFilter() = default;

bool RecordFilter::matches(const RecordView& record) const {
  return state_->matches(record);
}
const FilterSpec& RecordFilter::spec() const {
  return state_->spec();
}

}  // namespace fastlogd::view
