// Records as lines: for the text file, fastlogctl and the page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "record/ingress.hpp"
#include "record/record_view.hpp"
#include "view/local_time.hpp"

namespace fastlogd::view {

enum class OutputFormat : std::uint8_t {
  short_form,     ///< `Nov 22 23:05:01 host ident[pid]: message`, as journalctl and rsyslog write it
  short_iso,      ///< the same with `2026-11-22T23:05:01+01:00`
  short_precise,  ///< the same with `Nov 22 23:05:01.123456`
  json,           ///< one object a line, see json.hpp
  cat,            ///< the message alone
  raw,            ///< the kept slice as it arrived
};

/// "short", "short-iso", "short-precise", "json", "cat", "raw".
[[nodiscard]] std::optional<OutputFormat> parse_output_format(std::string_view name);

struct TextOptions {
  OutputFormat format = OutputFormat::short_form;
  /// Control characters as \n, \r, \xNN (tab stays), so that a message is one line and can't drive a
  /// terminal; drops one trailing CR. A backslash is not escaped: lines stay searchable, json is the exact
  /// form. For the text file and for terminals; it never touches json or raw.
  bool escape = false;
  bool colour = false;  ///< ANSI colours by severity, as journalctl: err and above red, warning yellow, ...
  std::string local_host = "localhost";  ///< shown for records of local transports that claim no host
};

/// A stretch of missing records, in plain fields (segment::Gap says the same below this layer).
struct GapView {
  ingress::LossReason reason = ingress::LossReason::none;
  std::uint64_t count = 0;  ///< unnumbered records lost; 0: nobody knows how many
  Sequence first{};         ///< 0: the lost records had no numbers
  Sequence last{};
  std::int64_t from_ns = 0;  ///< receive time before the gap, 0 unknown
  std::int64_t to_ns = 0;
};

/// Renders records and gaps, each with its newline. Deterministic: the same record, options and zone give the
/// same bytes, which the text file's cursor relies on. One per thread: it remembers the last second and
/// the last sender it showed.
class RecordRenderer {
 public:
  explicit RecordRenderer(TextOptions options);

  /// The shown time is the receive time, which is the order of the log; json has the sender's too.
  void append(std::string& out, const RecordView& record);

  /// `-- gap: 17 records lost (kernel_udp) after Nov 22 23:05:01 before Nov 22 23:05:02 --`, or an object
  /// with the one key "gap". Formats cat and raw hold nothing but what senders wrote: nothing is appended,
  /// say it elsewhere.
  void append_gap(std::string& out, const GapView& gap);

  [[nodiscard]] const TextOptions& options() const { return options_; }

 private:
  void append_time(std::string& out, std::int64_t time_ns);
  /// Everything before the message: time and sender.
  void append_head(std::string& out, const RecordView& record);
  void remember_sender(const RecordView& record);
  void render_sender(std::string& out, const RecordView& record) const;
  void append_message(std::string& out, const RecordView& record) const;

  /// The last sender and how it was rendered: senders repeat themselves.
  struct Sender {
    Transport transport = Transport::unknown;
    std::uint32_t pid = kUnknownId;
    std::string host, identifier, procid;
    std::string text;

    [[nodiscard]] bool is_of(const RecordView& record) const;
  };

  /// The head of the last line, sender_'s, in a format that shows whole seconds: most lines begin like the one before.
  struct Head {
    std::uint64_t second_ns = 0;  ///< when the shown second began; unsigned, for a file may state any time
    std::string text;             ///< empty: none yet

    [[nodiscard]] bool holds_at(std::int64_t time_ns) const {
      return !text.empty() && static_cast<std::uint64_t>(time_ns) - second_ns < kNanosPerSecond;
    }
    void begin(std::int64_t time_ns) {
      const std::int64_t into_second = (time_ns % kNanosPerSecond + kNanosPerSecond) % kNanosPerSecond;
      second_ns = static_cast<std::uint64_t>(time_ns) - static_cast<std::uint64_t>(into_second);
      text.clear();
    }
  };

  TextOptions options_;
  LocalTime local_time_;
  Sender sender_;
  Head head_;
};

/// Appends `text` with control characters as \n, \r, \xNN; tab stays.
void append_escaped(std::string& out, std::string_view text);

}  // namespace fastlogd::view
