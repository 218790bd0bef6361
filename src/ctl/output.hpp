// Standard output in large writes, with a pager on a terminal.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace fastlogd::ctl {

/// What is known of the terminal, if there is one.
struct Terminal {
  bool is_terminal = false;
  bool colour = false;  ///< a terminal that shows colours, and NO_COLOR (no-color.org) is not set
  unsigned columns = 80;

  [[nodiscard]] static Terminal of(int fd);
};

/// Collects output; nothing is seen before flush() or kFlushBytes. When nobody reads any more it ends quietly: closed()
/// is then true and everything else does nothing. So it is after an error, which has been said and makes failed() true.
class Output {
 public:
  static constexpr std::size_t kFlushBytes = std::size_t{256} * 1024;

  explicit Output(int fd) : fd_(fd) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  /// Flushes and waits for the pager to be left.
  ~Output();

  /// From here on output goes through $PAGER, less or more, if stdout is a terminal.
  void start_pager();

  /// Append here, then call written().
  [[nodiscard]] std::string& buffer() { return buffer_; }
  /// Flushes if much has come together.
  void written() {
    if (buffer_.size() >= kFlushBytes) flush();
  }
  void write(const std::string& text) {
    buffer_ += text;
    written();
  }
  void flush();
  /// True once the reader is gone. `probe`: looks whether it is (for a follower that has nothing to write).
  [[nodiscard]] bool closed(bool probe = false);
  /// Something was not written, and not because nobody wanted it.
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  int fd_;
  std::string buffer_;
  pid_t pager_ = -1;
  bool closed_ = false;
  bool failed_ = false;
};

/// At the end of a command that printed through stdio: false if something of it could not be written, which has been
/// said. A reader that has gone is no failure.
[[nodiscard]] bool flush_standard_output();

}  // namespace fastlogd::ctl
