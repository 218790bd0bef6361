#include "record/record_view.hpp"

namespace fastlogd {

std::string_view RecordView::structured_data() const {
  if (flags.format() != RecordFormat::rfc5424 || slice.empty() || slice.front() != '[') return {};
  const std::string_view before = slice.substr(0, message_start);
  const std::size_t end = before.rfind(']');
  return end == std::string_view::npos ? std::string_view{} : before.substr(0, end + 1);
}

}  // namespace fastlogd
