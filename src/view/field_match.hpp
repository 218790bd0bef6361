// One FIELD=VALUE of a filter, compiled.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "record/record_view.hpp"
#include "view/filter.hpp"

namespace fastlogd::view {

/// Const calls from several threads are fine.
class FieldMatch {
 public:
  /// Fails if the value can't be one of that field's: uid=root, severity=loud.
  [[nodiscard]] static Result<FieldMatch> compile(const FieldCondition& condition);

  /// Does the record have the field, with this value? The condition's `equal` is the caller's to apply.
  [[nodiscard]] bool equals(const RecordView& record) const;

 private:
  enum class Key : std::uint8_t {
    seq,
    severity,
    facility,
    transport,
    uid,
    gid,
    pid,
    host,
    identifier,
    procid,
    msgid,
    format,
    truncated,
    malformed,
    message,
    param,
  };
  static Result<Key> parse_key(const std::string& field);
  [[nodiscard]] Result<> parse_value();
  [[nodiscard]] bool param_equals(const RecordView& record) const;

  Key key_ = Key::param;
  std::string field_;
  std::string text_;
  std::uint64_t number_ = 0;  // of keys that are numbers, names of numbers or flags
};

}  // namespace fastlogd::view
