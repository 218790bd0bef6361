// RFC 5424 STRUCTURED-DATA: `[id name="value" ...][id ...]`. The parser checks it once on the way in and
// stores it as it came; whoever reads a record walks it with this.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fastlogd {

/// The length of the STRUCTURED-DATA that `text` starts with: 1 for "-", 0 if there is none or it is broken.
/// It must be followed by a space or the end. Tolerant of what the RFC leaves senders to get wrong: names may
/// hold any byte but space, `=`, `]`, `"` and controls, and be longer than 32.
[[nodiscard]] std::size_t structured_data_bytes(std::string_view text);

/// One parameter. Views into the structured data; `raw_value` still has its escapes.
struct StructuredParam {
  std::string_view element;  ///< SD-ID
  std::string_view name;
  std::string_view raw_value;
};

/// Walks the parameters in order. An element without parameters comes once, with an empty name. Input that
/// structured_data_bytes() would refuse ends the walk early; it is never read past its end.
class StructuredDataReader {
 public:
  /// `data`: what RecordView::structured_data() returns; may be empty.
  explicit StructuredDataReader(std::string_view data) : rest_(data) {}

  [[nodiscard]] bool next(StructuredParam& param);

 private:
  bool open_element(StructuredParam& param);

  std::string_view rest_;
  std::string_view element_;
  bool inside_ = false;
};

/// Appends `raw_value` with the escapes of RFC 5424 section 6.3.3 undone: \" \\ \]. Any other backslash is
/// itself.
void append_unescaped(std::string& out, std::string_view raw_value);

/// Compares without a copy: is `raw_value` unescaped equal to `value`?
[[nodiscard]] bool unescaped_equals(std::string_view raw_value, std::string_view value);

}  // namespace fastlogd
