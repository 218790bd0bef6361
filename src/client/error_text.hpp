// A thread's last error for people.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace fastlogd::client {

/// Has no destructor, so a thread-local one can be used as long as its thread runs: also by handlers of atexit(3) and by
/// destructors of other thread-locals. Cut to fit.
class ErrorText {
 public:
  ErrorText& operator=(std::string_view text) {
    *std::copy_n(text.begin(), std::min(text.size(), text_.size() - 1), text_.begin()) = '\0';
    return *this;
  }
  [[nodiscard]] const char* c_str() const { return text_.data(); }

 private:
  std::array<char, 512> text_{};
};

}  // namespace fastlogd::client
