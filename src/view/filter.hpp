// Which records a reader wants to see.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "record/record_view.hpp"

namespace fastlogd::view {

/// Both ends belong to it. RFC 5424 numbers severities downwards: emerg is 0.
struct SeverityRange {
  Severity most = Severity::emerg;
  Severity least = Severity::debug;

  [[nodiscard]] bool contains(Severity severity) const { return severity >= most && severity <= least; }
};

/// "err": err and everything more severe. "warning..alert" (either order): from one to the other. A half that is
/// left out, as in "warning.." or "..err", is the end of that side: debug on the left, emerg on the right.
[[nodiscard]] Result<SeverityRange> parse_severity_range(std::string_view text);

/// FIELD=VALUE or FIELD!=VALUE. FIELD is a key of json.hpp (sequence, numbers and flags by their text),
/// `sdid.param`, or the bare name of a structured-data parameter.
struct FieldCondition {
  std::string field;
  std::string value;
  bool equal = true;
};
[[nodiscard]] Result<FieldCondition> parse_field_condition(std::string_view text);

/// What the command line asks for; everything given must hold.
struct FilterSpec {
  std::int64_t since_ns = INT64_MIN;  ///< receive time, inclusive
  std::int64_t until_ns = INT64_MAX;  ///< receive time, inclusive
  SeverityRange severity{};
  std::vector<std::string> identifiers{};           ///< any of them (-t); empty: all
  std::vector<std::string> excluded_identifiers{};  ///< none of them (-T)
  std::string pattern{};                 ///< RE2, found anywhere in the message; all lower case: ignores case
  std::vector<FieldCondition> fields{};  ///< one field given several times with =: any of the values
};

/// Compiled once, then asked per record. Const calls from several threads are fine.
class RecordFilter {
 public:
  /// Fails on a pattern that RE2 refuses, with its reason, and on a field that can't exist.
  [[nodiscard]] static Result<RecordFilter> compile(FilterSpec spec);
  RecordFilter(RecordFilter&&) noexcept;
  RecordFilter& operator=(RecordFilter&&) noexcept;
  ~RecordFilter();

  [[nodiscard]] bool matches(const RecordView& record) const;
  [[nodiscard]] const FilterSpec& spec() const;

 private:
  class State;
  explicit RecordFilter(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace fastlogd::view
