#include "wire/syslog.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "record/timestamp.hpp"

namespace fastlogd::wire {
namespace {

using namespace std::string_view_literals;

std::int64_t utc(int year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second,
                 std::uint32_t nanosecond = 0) {
  return CivilTime{year, month, day, hour, minute, second, nanosecond}.utc_seconds() * kNanosPerSecond +
         nanosecond;
}

const std::int64_t kNow = utc(2026, 11, 22, 23, 5, 1);

ParsedMessage from_network(std::string_view message, MessageFormat format = MessageFormat::automatic) {
  return parse_message(message, format, ParseContext(kNow, 0, true));
}
ParsedMessage from_unix(std::string_view message) {
  return parse_message(message, MessageFormat::automatic, ParseContext(kNow, 0, false));
}
std::string_view slice(std::string_view message, const ParsedMessage& parsed) {
  return message.substr(parsed.slice_offset);
}
std::string_view text(std::string_view message, const ParsedMessage& parsed) {
  return slice(message, parsed).substr(parsed.message_start);
}

TEST(RawMessage, IsInfoAndKeptWhole) {
  for (const std::string_view message : {"081109 203615 148 INFO dfs.DataNode: x"sv, ""sv, "<"sv, "<>x"sv,
                                         "<html>"sv, "< 13>x"sv, "\xef\xbb\xbfx"sv}) {
    const ParsedMessage parsed = from_network(message);
    EXPECT_EQ(parsed.priority.severity(), Severity::info) << message;
    EXPECT_EQ(parsed.flags.bits, 0) << message;
    EXPECT_EQ(text(message, parsed), message);
  }
}

TEST(RawMessage, IsNeverLookedAtInRawFormat) {
  const ParsedMessage parsed = from_network("<11>a: b", MessageFormat::raw);
  EXPECT_EQ(parsed.flags.bits, 0);
  EXPECT_EQ(parsed.priority.value, 14);
  EXPECT_EQ(parsed.slice_offset, 0u);
}

TEST(RawMessage, IsMalformedWhereSyslogIsDemanded) {
  EXPECT_TRUE(from_network("hello", MessageFormat::syslog).flags.malformed());
  EXPECT_FALSE(from_network("<13>hello", MessageFormat::syslog).flags.malformed());
}

TEST(RawMessage, IsToldAtAGlanceExactlyWhereParsingWouldKeepIt) {
  const ParseContext context(kNow, 0, false);
  for (const MessageFormat format : {MessageFormat::automatic, MessageFormat::syslog, MessageFormat::raw}) {
    for (const std::string_view text :
         {"", "<", "<x", "<1", "<13>", "<13>hi", "<13", "13", "plain", "<html>", " <13>hi"}) {
      const ParsedMessage parsed = parse_message(text, format, context);
      const auto flags = kept_whole(text, format);
      if (!flags) continue;
      EXPECT_EQ(flags->bits, parsed.flags.bits) << text;
      EXPECT_EQ(parsed.slice_offset, 0U) << text;
      EXPECT_EQ(parsed.priority, Priority{}) << text;
    }
  }
  EXPECT_FALSE(kept_whole("<13>hi", MessageFormat::automatic)) << "this one has to be parsed";
  EXPECT_TRUE(kept_whole("<13>hi", MessageFormat::raw));
  EXPECT_TRUE(kept_whole("plain", MessageFormat::automatic));
}

TEST(PriorityHeader, TakesWhatTheRfcAllows) {
  EXPECT_EQ(from_network("<0>x").priority.value, 0);
  EXPECT_EQ(from_network("<13>x").priority.value, 13);
  EXPECT_EQ(from_network("<191>x").priority.value, 191);
}

TEST(PriorityHeader, KeepsABrokenOneWholeAndFlagged) {
  for (const std::string_view message : {"<192>x"sv, "<999>x"sv, "<1234>x"sv, "<00>x"sv, "<013>x"sv, "<13"sv,
                                         "<13x>y"sv, "<1"sv, "<99999999999999999999>"sv}) {
    const ParsedMessage parsed = from_network(message);
    EXPECT_TRUE(parsed.flags.malformed()) << message;
    EXPECT_EQ(parsed.flags.format(), RecordFormat::raw) << message;
    EXPECT_EQ(parsed.priority.value, 14) << message;
    EXPECT_EQ(text(message, parsed), message);
  }
}

TEST(Rfc5424, ReadsTheExampleOfTheRfc) {
  const std::string_view message =
      "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
      "[exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"][examplePriority@32473 "
      "class=\"high\"] "
      "\xef\xbb\xbf"
      "An application event log entry...";
  const ParsedMessage parsed = from_network(message);
  EXPECT_EQ(parsed.flags.format(), RecordFormat::rfc5424);
  EXPECT_EQ(parsed.priority.value, 165);
  EXPECT_EQ(parsed.sender_time_ns, utc(2003, 10, 11, 22, 14, 15, 3'000'000));
  EXPECT_EQ(parsed.host, "mymachine.example.com");
  EXPECT_EQ(parsed.identifier, "evntslog");
  EXPECT_EQ(parsed.procid, "");
  EXPECT_EQ(parsed.msgid, "ID47");
  EXPECT_TRUE(slice(message, parsed).starts_with("[exampleSDID@32473"));
  EXPECT_EQ(text(message, parsed), "An application event log entry...");
}

TEST(Rfc5424, ReadsWhatLoggerWrites) {
  const std::string_view message =
      "<13>1 2026-11-22T23:25:03.156173+01:00 vm root 812 - [timeQuality tzKnown=\"1\" isSynced=\"0\"] hello "
      "world";
  const ParsedMessage parsed = from_unix(message);
  EXPECT_EQ(parsed.sender_time_ns, utc(2026, 11, 22, 22, 25, 3, 156'173'000));
  EXPECT_EQ(parsed.host, "vm");
  EXPECT_EQ(parsed.identifier, "root");
  EXPECT_EQ(parsed.procid, "812");
  EXPECT_EQ(text(message, parsed), "hello world");
}

TEST(Rfc5424, LetsEverythingBeLeftOut) {
  for (const std::string_view message : {"<13>1 - - - - - -"sv, "<13>1 - - - - - - "sv}) {
    const ParsedMessage parsed = from_network(message);
    EXPECT_EQ(parsed.flags.bits, static_cast<std::uint8_t>(RecordFormat::rfc5424)) << message;
    EXPECT_EQ(parsed.sender_time_ns, kNoTime);
    EXPECT_EQ(parsed.host, "");
    EXPECT_EQ(text(message, parsed), "");
  }
}

TEST(Rfc5424, HonoursEscapesInStructuredData) {
  const std::string_view message = R"(<13>1 - - - - - [a b="x\"] \\" c="\]"][d] rest] " of it)";
  const ParsedMessage parsed = from_network(message);
  EXPECT_EQ(parsed.flags.format(), RecordFormat::rfc5424);
  EXPECT_EQ(text(message, parsed), "rest] \" of it");
}

TEST(Rfc5424, KeepsTheMessageByteForByte) {
  const std::string_view message = "<13>1 - - - - - -   two spaces\0and\xff\n"sv;
  EXPECT_EQ(text(message, from_network(message)), "  two spaces\0and\xff\n"sv);
}

TEST(Rfc5424, TakesAHeaderWithoutStructuredData) {
  const std::string_view message =
      "<40>1 2012-11-30T06:45:29+00:00 host app web.3 - State changed from starting to up";
  const ParsedMessage parsed = from_network(message);
  EXPECT_EQ(parsed.identifier, "app");
  EXPECT_EQ(parsed.procid, "web.3");
  EXPECT_EQ(text(message, parsed), "State changed from starting to up");
}

TEST(Rfc5424, KeepsABrokenHeaderWholeWithItsPriority) {
  for (const std::string_view message :
       {"<11>1 2026-13-22T23:25:03Z h a p m - x"sv, "<11>1 2026-11-22 23:25:03 h a p m - x"sv,
        "<11>1 - h a"sv, "<11>1 - h  p m - x"sv, "<11>1 - h a p m [x"sv, "<11>1 - h a p m [x y=\"1\"z] t"sv,
        "<11>1 - h a p m [x y=\"1\"]t"sv, "<11>1 - h a p m [] t"sv, "<11>1 - - - - -"sv}) {
    const ParsedMessage parsed = from_network(message);
    EXPECT_TRUE(parsed.flags.malformed()) << message;
    EXPECT_EQ(parsed.flags.format(), RecordFormat::raw) << message;
    EXPECT_EQ(parsed.priority.value, 11) << message;
    EXPECT_EQ(parsed.host, "") << message;
    EXPECT_EQ(text(message, parsed), message);
  }
}

TEST(Rfc5424, RefusesFieldsOverTheirLimits) {
  const auto with = [](std::size_t host, std::size_t app, std::size_t procid, std::size_t msgid) {
    return "<13>1 - " + std::string(host, 'h') + " " + std::string(app, 'a') + " " +
           std::string(procid, 'p') + " " + std::string(msgid, 'm') + " - x";
  };
  using namespace limits;
  const auto malformed = [](const std::string& message) { return from_network(message).flags.malformed(); };
  EXPECT_FALSE(malformed(with(kHostBytesMax, kIdentifierBytesMax, kProcidBytesMax, kMsgidBytesMax)));
  EXPECT_TRUE(malformed(with(kHostBytesMax + 1, 1, 1, 1)));
  EXPECT_TRUE(malformed(with(1, kIdentifierBytesMax + 1, 1, 1)));
  EXPECT_TRUE(malformed(with(1, 1, kProcidBytesMax + 1, 1)));
  EXPECT_TRUE(malformed(with(1, 1, 1, kMsgidBytesMax + 1)));
}

TEST(Rfc5424, IsNotSeenInAMessageThatJustBeginsWithOne) {
  const std::string_view message = "<14>1 file changed";
  const ParsedMessage parsed = from_network(message);
  EXPECT_EQ(parsed.flags.bits, static_cast<std::uint8_t>(RecordFormat::rfc3164));
  EXPECT_EQ(text(message, parsed), "1 file changed");
}

TEST(Rfc3164, ReadsTheLocalFormOfGlibcAndLogger) {
  const std::string_view message = "<13>Nov 22 23:05:01 root[7170]: hello world";
  const ParsedMessage parsed = from_unix(message);
  EXPECT_EQ(parsed.flags.format(), RecordFormat::rfc3164);
  EXPECT_EQ(parsed.sender_time_ns, kNow);
  EXPECT_EQ(parsed.host, "");
  EXPECT_EQ(parsed.identifier, "root");
  EXPECT_EQ(parsed.procid, "7170");
  EXPECT_EQ(text(message, parsed), "hello world");
  EXPECT_LT(parsed.procid.data(), slice(message, parsed).data());
}

TEST(Rfc3164, ReadsTheNetworkFormOnEveryTransport) {
  const std::string_view message = "<13>Nov 22 23:05:01 vm root: hello world";
  for (const ParsedMessage& parsed : {from_unix(message), from_network(message)}) {
    EXPECT_EQ(parsed.host, "vm");
    EXPECT_EQ(parsed.identifier, "root");
    EXPECT_EQ(parsed.procid, "");
    EXPECT_EQ(text(message, parsed), "hello world");
  }
}

TEST(Rfc3164, TakesAHostWithoutATagOnlyFromTheNetwork) {
  const std::string_view message = "<13>Nov 22 23:05:01 vm last message repeated 2 times";
  EXPECT_EQ(from_network(message).host, "vm");
  EXPECT_EQ(text(message, from_network(message)), "last message repeated 2 times");
  EXPECT_EQ(from_unix(message).host, "");
  EXPECT_EQ(text(message, from_unix(message)), "vm last message repeated 2 times");
}

TEST(Rfc3164, NeedsNothingBehindThePriority) {
  EXPECT_EQ(text("<11>hi", from_unix("<11>hi")), "hi");
  EXPECT_EQ(text("<11>", from_unix("<11>")), "");
  EXPECT_EQ(text("<11>  hi there", from_unix("<11>  hi there")), "  hi there");
  const ParsedMessage tagged = from_unix("<11>app[1]: hi");
  EXPECT_EQ(tagged.identifier, "app");
  EXPECT_EQ(tagged.sender_time_ns, kNoTime);
}

TEST(Rfc3164, StripsExactlyOneSpaceBehindTheTag) {
  const std::string_view message = "<13>Nov 22 23:05:01 vm root:   indented ";
  EXPECT_EQ(slice(message, from_network(message)), "  indented ");
}

TEST(Rfc3164, TakesTagsAsTheyAreInTheWild) {
  const auto tag = [](std::string_view message) {
    const ParsedMessage parsed = from_network(message);
    return std::string(parsed.identifier) + "|" + std::string(parsed.procid) + "|" +
           std::string(text(message, parsed));
  };
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass"),
            "sshd(pam_unix)|19939|check pass");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo postfix/smtpd[1]: x"), "postfix/smtpd|1|x");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo app[]: x"), "app||x");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo [12]: x"), "||[12]: x");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo : x"), "||: x");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo su:x y"), "||su:x y");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo su:"), "su||");
  EXPECT_EQ(tag("<13>Jun 14 15:16:01 combo a\x01"
                "b: x"),
            "||a\x01"
            "b: x");
}

TEST(Rfc3164, TakesAnOverlongTagForText) {
  const std::string at_limit = "<13>" + std::string(limits::kIdentifierBytesMax, 't') + "[1]: x";
  EXPECT_EQ(text(at_limit, from_network(at_limit)), "x");
  const std::string over = "<13>" + std::string(limits::kIdentifierBytesMax + 1, 't') + ": x";
  EXPECT_EQ(from_network(over).identifier, "");
  EXPECT_EQ(text(over, from_network(over)), std::string_view(over).substr(4));
  const std::string pid = "<13>t[" + std::string(limits::kProcidBytesMax + 1, '1') + "]: x";
  EXPECT_EQ(from_network(pid).procid, "");
  EXPECT_EQ(text(pid, from_network(pid)), std::string_view(pid).substr(4));
}

TEST(Rfc3164, StripsAByteOrderMark) {
  for (const std::string_view message : {"<14>\xef\xbb\xbfhi"sv,
                                         "<14>\xef\xbb\xbf"
                                         "app: hi"sv,
                                         "<14>app: \xef\xbb\xbfhi"sv}) {
    EXPECT_EQ(text(message, from_unix(message)), "hi") << message;
  }
}

TEST(Rfc3164, TakesTimestampsOfManyKinds) {
  const auto time = [](std::string_view header) {
    const std::string message = "<13>" + std::string(header) + " vm app: x";
    const ParsedMessage parsed = from_network(message);
    EXPECT_EQ(text(message, parsed), "x") << header;
    return parsed.sender_time_ns;
  };
  EXPECT_EQ(time("Nov  2 03:04:05"), utc(2026, 11, 2, 3, 4, 5));
  EXPECT_EQ(time("Nov 02 03:04:05"), utc(2026, 11, 2, 3, 4, 5));
  EXPECT_EQ(time("Nov 2 03:04:05"), utc(2026, 11, 2, 3, 4, 5));
  EXPECT_EQ(time("nov 22 03:04:05.25"), utc(2026, 11, 22, 3, 4, 5, 250'000'000));
  EXPECT_EQ(time("Nov 22 2019 03:04:05"), utc(2019, 11, 22, 3, 4, 5));
  EXPECT_EQ(time("2026-11-22T03:04:05.123456+02:00"), utc(2026, 11, 22, 1, 4, 5, 123'456'000));
  EXPECT_EQ(time("Feb 30 03:04:05"), kNoTime);
}

TEST(Rfc3164, TakesABrokenTimestampForText) {
  for (const std::string_view rest :
       {"Nov 22 25:05:01 x"sv, "Nov 40 23:05:01 x"sv, "Foo 22 23:05:01 x"sv, "Nov 22 23:05:01x y"sv,
        "Nov 22"sv, "Nov 22 23:05:0"sv, "2026-11-22 10:00:00,123 INFO x"sv, "Nov 00 23:05:01 x"sv}) {
    const std::string message = "<13>" + std::string(rest);
    const ParsedMessage parsed = from_network(message);
    EXPECT_EQ(text(message, parsed), rest);
    EXPECT_EQ(parsed.sender_time_ns, kNoTime) << rest;
  }
}

TEST(YearInference, LooksBackAndAtMostAWeekAhead) {
  const auto parsed_at = [](std::int64_t now, std::string_view stamp, std::int32_t offset = 0) {
    const std::string message = "<13>" + std::string(stamp) + " app: x";
    return parse_message(message, MessageFormat::automatic, ParseContext(now, offset, false)).sender_time_ns;
  };
  const std::int64_t new_year = utc(2027, 1, 1, 0, 0, 5);
  EXPECT_EQ(parsed_at(new_year, "Dec 31 23:59:58"), utc(2026, 12, 31, 23, 59, 58));
  EXPECT_EQ(parsed_at(new_year, "Jan  1 00:00:04"), utc(2027, 1, 1, 0, 0, 4));
  const std::int64_t old_year = utc(2026, 12, 31, 23, 59, 58);
  EXPECT_EQ(parsed_at(old_year, "Jan  1 00:00:04"), utc(2027, 1, 1, 0, 0, 4));
  EXPECT_EQ(parsed_at(old_year, "Jan 20 00:00:04"), utc(2026, 1, 20, 0, 0, 4));
  EXPECT_EQ(parsed_at(kNow, "Nov 25 00:00:00"), utc(2026, 11, 25, 0, 0, 0));
  EXPECT_EQ(parsed_at(kNow, "Dec 10 00:00:00"), utc(2025, 12, 10, 0, 0, 0));
  EXPECT_EQ(parsed_at(kNow, "Feb 29 12:00:00"), utc(2024, 2, 29, 12, 0, 0));
  EXPECT_EQ(parsed_at(utc(2103, 6, 1, 0, 0, 0), "Feb 29 12:00:00"), utc(2096, 2, 29, 12, 0, 0));
}

TEST(YearInference, CountsInTheSendersZone) {
  const auto parsed_at = [](std::int64_t now, std::int32_t offset) {
    return parse_message("<13>Jan  1 00:30:00 app: x", MessageFormat::automatic,
                         ParseContext(now, offset, false))
        .sender_time_ns;
  };
  EXPECT_EQ(parsed_at(utc(2026, 12, 31, 23, 30, 1), 3600), utc(2026, 12, 31, 23, 30, 0));
  EXPECT_EQ(parsed_at(utc(2027, 1, 1, 5, 30, 1), -5 * 3600), utc(2027, 1, 1, 5, 30, 0));
}

}  // namespace
}  // namespace fastlogd::wire
