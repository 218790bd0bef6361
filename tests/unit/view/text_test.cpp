#include "view/text.hpp"

#include <cstdlib>
#include <ctime>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "record/timestamp.hpp"

namespace fastlogd::view {
namespace {

using namespace std::string_view_literals;

/// Tests read clocks in one zone, the reader's own comes back afterwards.
class InZone {
 public:
  explicit InZone(const char* zone) {
    if (const char* const before = std::getenv("TZ")) before_ = before;
    setenv("TZ", zone, 1);
    tzset();
  }
  ~InZone() {
    before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
    tzset();
  }
  InZone(const InZone&) = delete;
  InZone& operator=(const InZone&) = delete;

 private:
  std::string before_;
};

std::int64_t utc(int year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second,
                 std::uint32_t nanosecond = 0) {
  return CivilTime{year, month, day, hour, minute, second, nanosecond}.utc_seconds() * kNanosPerSecond +
         nanosecond;
}

RecordView record(std::string_view message) {
  RecordView view;
  view.sequence.value = 7;
  view.receive_time_ns = utc(2026, 11, 2, 23, 5, 1, 123'456'789);
  view.source.transport = Transport::unix_stream;
  view.source.host = "web1";
  view.source.identifier = "sshd";
  view.procid = "812";
  view.slice = message;
  return view;
}

std::string render(const RecordView& view, TextOptions options = {}) {
  RecordRenderer renderer(std::move(options));
  std::string out;
  renderer.append(out, view);
  return out;
}

TextOptions in(OutputFormat format) {
  TextOptions options;
  options.format = format;
  return options;
}

TEST(ShortForm, ReadsLikeJournalctl) {
  const InZone zone("UTC");
  EXPECT_EQ(render(record("hello")), "Nov  2 23:05:01 web1 sshd[812]: hello\n");
  EXPECT_EQ(render(record("hello"), in(OutputFormat::short_precise)),
            "Nov  2 23:05:01.123456 web1 sshd[812]: hello\n");
  EXPECT_EQ(render(record("hello"), in(OutputFormat::short_iso)),
            "2026-11-02T23:05:01+00:00 web1 sshd[812]: hello\n");
}

TEST(ShortForm, ShowsTheLocalZoneAndFollowsItsChanges) {
  const InZone zone("Europe/Berlin");
  RecordRenderer renderer(in(OutputFormat::short_iso));
  const auto shown = [&](std::int64_t time_ns) {
    RecordView view = record("x");
    view.receive_time_ns = time_ns;
    std::string out;
    renderer.append(out, view);
    return out.substr(0, 25);
  };
  EXPECT_EQ(shown(utc(2026, 3, 29, 0, 59, 59)), "2026-03-29T01:59:59+01:00");
  EXPECT_EQ(shown(utc(2026, 3, 29, 1, 0, 0)), "2026-03-29T03:00:00+02:00");
  EXPECT_EQ(shown(utc(2026, 10, 25, 0, 59, 59)), "2026-10-25T02:59:59+02:00");
  EXPECT_EQ(shown(utc(2026, 10, 25, 1, 0, 0)), "2026-10-25T02:00:00+01:00");
  EXPECT_EQ(shown(utc(1969, 12, 31, 22, 59, 59)), "1969-12-31T23:59:59+01:00");
}

TEST(ShortForm, ShowsTheZonesWestAndHalfHours) {
  const InZone zone("America/St_Johns");
  EXPECT_EQ(render(record("x"), in(OutputFormat::short_iso)).substr(0, 25), "2026-11-02T19:35:01-03:30");
}

TEST(ShortForm, FillsInWhatTheSenderDidNotSay) {
  const InZone zone("UTC");
  RecordView view = record("x");
  view.source = SourceView{};
  view.source.transport = Transport::unix_datagram;
  view.source.pid = 42;
  view.procid = {};
  EXPECT_EQ(render(view), "Nov  2 23:05:01 localhost unknown[42]: x\n");
  TextOptions named;
  named.local_host = "vm";
  EXPECT_EQ(render(view, named), "Nov  2 23:05:01 vm unknown[42]: x\n");
  view.source = SourceView{};
  view.source.transport = Transport::udp;
  EXPECT_EQ(render(view), "Nov  2 23:05:01 - unknown: x\n");
}

/// What a renderer remembers of the line before must never show: each line is what a renderer of its own makes of it.
TEST(ShortForm, OwesNothingToTheLineBefore) {
  const InZone zone("Europe/Berlin");
  std::mt19937_64 random(20261129);
  const auto one_of = [&](std::initializer_list<std::string_view> some) {
    return some.begin()[random() % some.size()];
  };
  const std::int64_t start_ns = utc(2026, 10, 25, 0, 59, 59);
  for (const auto format : {OutputFormat::short_form, OutputFormat::short_iso, OutputFormat::short_precise}) {
    RecordRenderer renderer(in(format));
    std::int64_t time_ns = start_ns;
    for (int i = 0; i < 2000; ++i) {
      constexpr std::int64_t kSteps[] = {0, 1, 999'999'999, kNanosPerSecond, -1, -kNanosPerSecond};
      time_ns += kSteps[random() % std::size(kSteps)];
      RecordView view = record("x");
      view.receive_time_ns = i % 97 == 0   ? INT64_MIN + static_cast<std::int64_t>(random() % 3)
                             : i % 89 == 0 ? INT64_MAX - static_cast<std::int64_t>(random() % 3)
                             : i % 83 == 0 ? -time_ns
                                           : time_ns;
      view.source.host = one_of({"web1", "web1", "web1", "web2", ""});
      view.source.identifier = one_of({"sshd", "sshd", "sshd", "cron"});
      view.procid = one_of({"812", "812", "812", ""});
      view.source.pid = random() % 4 == 0 ? 7 : 8;
      std::string line;
      renderer.append(line, view);
      ASSERT_EQ(line, render(view, in(format))) << "line " << i << " of format " << static_cast<int>(format);
      if (i % 31 == 0) renderer.append_gap(line, GapView{.count = 1, .from_ns = time_ns + kNanosPerSecond});
    }
  }
}

TEST(Escaping, MakesOneLineOfEveryMessage) {
  const InZone zone("UTC");
  TextOptions escaped;
  escaped.escape = true;
  const auto message = [&](std::string_view text) {
    const std::string line = render(record(text), escaped);
    const std::size_t begin = line.find("]: ") + 2;
    return line.substr(begin, line.size() - begin - 1);
  };
  EXPECT_EQ(message("a\nb"), " a\\nb");
  EXPECT_EQ(message("a\rb\r"), " a\\rb");
  EXPECT_EQ(message("nul\0esc\x1b[0m\x7f"sv), " nul\\x00esc\\x1b[0m\\x7f");
  EXPECT_EQ(message("tab\tand back\\slash"), " tab\tand back\\slash");
  EXPECT_EQ(message("gr\xc3\xbc\xc3\x9f"
                    "e \xff"),
            " gr\xc3\xbc\xc3\x9f"
            "e \xff");
  EXPECT_EQ(message("c1 \xc2\x9b"
                    "31m \xc2\xb5s"),
            " c1 \\xc2\\x9b31m \xc2\xb5s");
}

TEST(Escaping, CoversEveryControlCharacterAtEveryPlace) {
  for (std::size_t bytes = 1; bytes < 70; ++bytes) {
    for (const char control : {'\0', '\x01', '\x08', '\x0b', '\x1f', '\x7f'}) {
      std::string text(bytes, 'a');
      text[bytes - 1] = control;
      std::string out;
      append_escaped(out, text);
      EXPECT_EQ(out.size(), bytes + 3) << bytes;
    }
  }
}

TEST(Escaping, LeavesMessagesAloneUnlessAskedTo) {
  const InZone zone("UTC");
  EXPECT_EQ(render(record("a\nb\r"), in(OutputFormat::cat)), "a\nb\r\n");
}

TEST(Escaping, HoldsForClaimsAlways) {
  const InZone zone("UTC");
  RecordView view = record("x");
  view.source.identifier = "evil\nNov  2";
  EXPECT_EQ(render(view), "Nov  2 23:05:01 web1 evil\\nNov  2[812]: x\n");
}

TEST(CatAndRaw, ShowTheMessageAndTheSlice) {
  RecordView view = record("[a b=\"c\"] hello");
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = 10;
  EXPECT_EQ(render(view, in(OutputFormat::cat)), "hello\n");
  EXPECT_EQ(render(view, in(OutputFormat::raw)), "[a b=\"c\"] hello\n");
}

TEST(Colours, FollowTheSeverity) {
  TextOptions options = in(OutputFormat::cat);
  options.colour = true;
  RecordView view = record("x");
  view.priority.value = 11;
  EXPECT_EQ(render(view, options), "\x1b[1;31mx\x1b[0m\n");
  view.priority.value = 14;
  EXPECT_EQ(render(view, options), "x\n");
}

TEST(Gaps, AreOneLine) {
  const InZone zone("UTC");
  RecordRenderer renderer({});
  const auto line = [&](const GapView& gap) {
    std::string out;
    renderer.append_gap(out, gap);
    return out;
  };
  const std::int64_t when = utc(2026, 11, 2, 23, 5, 1);
  EXPECT_EQ(line({.reason = ingress::LossReason::kernel_udp,
                  .count = 17,
                  .from_ns = when,
                  .to_ns = when + kNanosPerSecond}),
            "-- gap: 17 records lost (kernel_udp) after Nov  2 23:05:01 before Nov  2 23:05:02 --\n");
  EXPECT_EQ(line({.reason = ingress::LossReason::ring_full, .count = 1}),
            "-- gap: 1 record lost (ring_full) --\n");
  EXPECT_EQ(line({.reason = ingress::LossReason::damaged}),
            "-- gap: an unknown number of records lost (damaged) --\n");
  EXPECT_EQ(line({.reason = ingress::LossReason::retention, .first = {3}, .last = {9}}),
            "-- gap: records 3 to 9 are missing (retention) --\n");
  EXPECT_EQ(line({.reason = ingress::LossReason{200}, .count = 2}), "-- gap: 2 records lost (200) --\n")
      << "of a later version";
}

TEST(Gaps, StayOutOfFormatsThatHoldOnlyWhatSendersWrote) {
  for (const OutputFormat format : {OutputFormat::cat, OutputFormat::raw}) {
    RecordRenderer renderer(in(format));
    std::string out;
    renderer.append_gap(out, {.reason = ingress::LossReason::damaged});
    EXPECT_EQ(out, "");
  }
}

TEST(OutputFormats, HaveTheNamesOfJournalctl) {
  EXPECT_EQ(parse_output_format("short"), OutputFormat::short_form);
  EXPECT_EQ(parse_output_format("json"), OutputFormat::json);
  EXPECT_EQ(parse_output_format("export"), std::nullopt);
}

TEST(AppendEscaped, FindsAControlCharacterAtAnyPlace) {
  for (std::size_t size = 1; size < 50; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, '\t');
      text[at] = '\x1b';
      std::string out;
      append_escaped(out, text);
      EXPECT_EQ(out, std::string(at, '\t') + "\\x1b" + std::string(size - at - 1, '\t')) << size << ' ' << at;
    }
  }
}

}  // namespace
}  // namespace fastlogd::view
