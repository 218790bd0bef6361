#include "wire/stream_framer.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kLimit = 64;

struct Heard {
  std::vector<std::string> messages;  // a cut one ends with "...", a malformed one begins with "!"
  FrameError error = FrameError::none;
  std::size_t tail_bytes_max = 0;
};

std::string shown(std::string_view bytes, const FramedMessage& message) {
  std::string text = message.malformed ? "!" : "";
  text += bytes.substr(message.offset, message.bytes);
  if (message.truncated) text += "...";
  return text;
}

/// Feeds the stream as a session would: the unconsumed tail in front of the next read, `slots` messages at a
/// time.
class Session {
 public:
  explicit Session(FramingMode mode, std::size_t limit = kLimit, std::size_t slots = 4)
      : framer_(mode, limit), slots_(slots) {}

  void read(std::string_view bytes) {
    tail_ += bytes;
    while (take(
        [this](std::string_view span, std::span<FramedMessage> out) { return framer_.split(span, out); })) {
    }
    heard_.tail_bytes_max = std::max(heard_.tail_bytes_max, tail_.size());
  }

  Heard end() {
    while (!tail_.empty() && heard_.error == FrameError::none) {
      take([this](std::string_view span, std::span<FramedMessage> out) { return framer_.finish(span, out); });
    }
    return heard_;
  }

  [[nodiscard]] const std::vector<std::string>& so_far() const { return heard_.messages; }
  [[nodiscard]] const StreamFramer& framer() const { return framer_; }

 private:
  // True: `out` was filled, there may be more.
  template <class Step>
  bool take(Step step) {
    std::vector<FramedMessage> out(slots_);
    const FrameResult result = step(tail_, out);
    EXPECT_LE(result.consumed, tail_.size());
    EXPECT_LE(result.messages, slots_);
    for (std::size_t i = 0; i < result.messages; ++i) heard_.messages.push_back(shown(tail_, out[i]));
    if (result.error != FrameError::none) heard_.error = result.error;
    tail_.erase(0, result.consumed);
    return result.messages == slots_;
  }

  StreamFramer framer_;
  std::size_t slots_;
  std::string tail_;
  Heard heard_;
};

Heard hear(std::string_view stream, FramingMode mode = FramingMode::automatic,
           std::size_t read_bytes = 1 << 20, std::size_t slots = 4) {
  Session session(mode, kLimit, slots);
  for (std::size_t at = 0; at < stream.size(); at += read_bytes) session.read(stream.substr(at, read_bytes));
  return session.end();
}

std::vector<std::string> messages(std::string_view stream, FramingMode mode = FramingMode::automatic) {
  return hear(stream, mode).messages;
}

using namespace std::string_view_literals;

TEST(LineFramer, SplitsAtLineFeeds) {
  EXPECT_THAT(messages("one\ntwo\n"), ElementsAre("one", "two"));
}

TEST(LineFramer, KeepsAPartialLineForTheNextRead) {
  Session session(FramingMode::automatic);
  session.read("one\ntw");
  EXPECT_THAT(session.so_far(), ElementsAre("one"));
  session.read("o\n");
  EXPECT_THAT(session.so_far(), ElementsAre("one", "two"));
}

TEST(LineFramer, TakesTheEndOfTheStreamAsTheEndOfARecord) {
  EXPECT_THAT(messages("one\ntwo"), ElementsAre("one", "two"));
  EXPECT_THAT(messages("no delimiter at all"), ElementsAre("no delimiter at all"));
  EXPECT_THAT(messages(""), IsEmpty());
}

TEST(LineFramer, DelimitsByNulIfThatCameFirstAndKeepsLineFeeds) {
  EXPECT_THAT(messages("one\0trace\ntwo\0"sv), ElementsAre("one", "trace\ntwo"));
  EXPECT_THAT(messages("a\0b\nb\0c"sv), ElementsAre("a", "b\nb", "c"));
}

TEST(LineFramer, KeepsANulInsideALine) {
  EXPECT_THAT(messages("a\nb\0b\n"sv), ElementsAre("a", "b\0b"sv));
}

TEST(LineFramer, SkipsOneNulRightAfterALineFeed) {
  EXPECT_THAT(messages("a\n\0b\n\0"sv), ElementsAre("a", "b"));
  EXPECT_THAT(messages("a\n\0\0b\n"sv), ElementsAre("a", "\0b"sv));
  Session session(FramingMode::lines);
  session.read("a\n"sv);
  session.read("\0"sv);
  session.read("b\n"sv);
  EXPECT_THAT(session.end().messages, ElementsAre("a", "b"));
}

TEST(LineFramer, KeepsEmptyLinesAndCarriageReturns) {
  EXPECT_THAT(messages("a\r\n\n\r\nb\n"), ElementsAre("a\r", "", "\r", "b"));
}

TEST(LineFramer, StripsTheOtherDelimiterFromAnUnterminatedLastRecord) {
  EXPECT_THAT(messages("a\0b\n"sv), ElementsAre("a", "b"));
}

TEST(LineFramer, TakesALineOfExactlyTheLimitWhole) {
  const std::string line(kLimit, 'x');
  EXPECT_THAT(messages(line + "\nnext\n"), ElementsAre(line, "next"));
  EXPECT_THAT(messages(line), ElementsAre(line));
}

TEST(LineFramer, CutsALongerLineFlagsItAndSkipsItsRest) {
  const std::string line(kLimit, 'x');
  EXPECT_THAT(messages(line + "yyy\nnext\n"), ElementsAre(line + "...", "next"));
  EXPECT_THAT(messages("first\n" + line + "y"), ElementsAre("first", line + "..."));
}

TEST(LineFramer, EmitsACutLineAtOnceAndKeepsNothingOfIt) {
  Session session(FramingMode::automatic);
  session.read(std::string(10 * kLimit, 'x'));
  EXPECT_THAT(session.so_far(), ElementsAre(std::string(kLimit, 'x') + "..."));
  session.read(std::string(10 * kLimit, 'x'));
  session.read("rest\nnext\n");
  EXPECT_THAT(session.so_far(), ElementsAre(std::string(kLimit, 'x') + "...", "next"));
}

TEST(LineFramer, LearnsTheDelimiterBehindACutFirstLine) {
  Session session(FramingMode::automatic);
  session.read(std::string(10 * kLimit, 'x'));
  session.read("rest\0ne\nxt\0"sv);
  EXPECT_EQ(session.framer().delimiter(), 0);
  EXPECT_THAT(session.end().messages, ElementsAre(std::string(kLimit, 'x') + "...", "ne\nxt"));
}

TEST(LineFramer, StopsWhenTheOutputIsFullAndGoesOnWhereItStopped) {
  EXPECT_THAT(hear("a\nb\nc\nd\ne", FramingMode::automatic, 1 << 20, 1).messages,
              ElementsAre("a", "b", "c", "d", "e"));
}

TEST(OctetCountingFramer, IsChosenOnlyByACountBeforeAPriority) {
  EXPECT_THAT(messages("5 <13>a5 <13>b"), ElementsAre("<13>a", "<13>b"));
  EXPECT_THAT(messages("081109 203615 148 INFO\n"), ElementsAre("081109 203615 148 INFO"));
  EXPECT_THAT(messages("17 <b\n"), ElementsAre("<b\n..."));
  EXPECT_THAT(messages("12345678 <13>a\n"), ElementsAre("12345678 <13>a"));
  EXPECT_THAT(messages("5  <13>\n"), ElementsAre("5  <13>"));
  EXPECT_THAT(messages("05 <13>a\n"), ElementsAre("05 <13>a"));
}

TEST(OctetCountingFramer, WaitsUntilTheFirstBytesDecide) {
  Session session(FramingMode::automatic);
  session.read("5");
  session.read(" ");
  EXPECT_EQ(session.framer().mode(), FramingMode::automatic);
  session.read("<");
  EXPECT_EQ(session.framer().mode(), FramingMode::octet_counting);
  session.read("13>a");
  EXPECT_THAT(session.so_far(), ElementsAre("<13>a"));
}

TEST(OctetCountingFramer, TakesAnUndecidedEndOfStreamAsALine) {
  EXPECT_THAT(messages("37"), ElementsAre("37"));
  EXPECT_THAT(messages("37 "), ElementsAre("37 "));
}

TEST(OctetCountingFramer, KeepsDelimitersInsideAndDropsOneAtTheEnd) {
  EXPECT_THAT(messages("8 <13>a\nb\n8 <13>a\0b\0"sv), ElementsAre("<13>a\nb", "<13>a\0b"sv));
  EXPECT_THAT(messages("7 <13>a\n\n"), ElementsAre("<13>a\n"));
}

TEST(OctetCountingFramer, ToleratesALineFeedBetweenMessages) {
  EXPECT_THAT(messages("5 <13>a\n5 <13>b\n"), ElementsAre("<13>a", "<13>b"));
}

TEST(OctetCountingFramer, CutsAHugeCountAndSkipsWhatItPromised) {
  const std::string body = "<13>" + std::string(196, 'x');
  EXPECT_THAT(messages("200 " + body + "5 <13>b"), ElementsAre(body.substr(0, kLimit) + "...", "<13>b"));
  const Heard heard = hear("9999999 <13>never that much", FramingMode::automatic, 3);
  EXPECT_THAT(heard.messages, ElementsAre("<13>never that much..."));
}

TEST(OctetCountingFramer, DoesNotCountTheTrailingLineFeedAgainstTheLimit) {
  const std::string body = "<13>" + std::string(kLimit - 4, 'x');
  EXPECT_THAT(messages("65 " + body + "\n5 <13>b"), ElementsAre(body, "<13>b"));
  EXPECT_THAT(messages("65 " + body + "y5 <13>b"), ElementsAre(body + "...", "<13>b"));
}

TEST(OctetCountingFramer, FlagsAMessageThatTheStreamEndedInside) {
  EXPECT_THAT(messages("50 <13>short"), ElementsAre("<13>short..."));
  EXPECT_THAT(messages("5 <13>a50 "), ElementsAre("<13>a", "!50 "));
  EXPECT_THAT(messages("5 <13>a50"), ElementsAre("<13>a", "!50"));
}

TEST(OctetCountingFramer, ReportsABadCountAndKeepsItsBytes) {
  const Heard heard = hear("5 <13>arubbish 12 more");
  EXPECT_EQ(heard.error, FrameError::bad_octet_count);
  EXPECT_THAT(heard.messages, ElementsAre("<13>a", "!rubbish 12 more"));
  for (const std::string_view bad : {"0 <13>a"sv, "12345678 <13>a"sv, "1x"sv, " 5 <13>a"sv, "-5 <13>a"sv}) {
    EXPECT_EQ(hear(bad, FramingMode::octet_counting).error, FrameError::bad_octet_count) << bad;
  }
}

TEST(OctetCountingFramer, ExplicitModeNeedsNoPriorityBehindTheCount) {
  EXPECT_THAT(messages("3 abc2 de", FramingMode::octet_counting), ElementsAre("abc", "de"));
}

TEST(ExplicitLineFramer, TakesACountForText) {
  EXPECT_THAT(messages("5 <13>a\n", FramingMode::lines), ElementsAre("5 <13>a"));
}

std::string random_stream(std::mt19937& random) {
  static constexpr std::string_view kAlphabet = "ab 159<>\n\n\0\r"sv;
  std::string stream;
  const bool counted = random() % 3 == 0;
  for (std::size_t i = 0; i < 12; ++i) {
    std::string body = counted ? "<13>" : "";
    for (std::size_t n = random() % (random() % 5 == 0 ? 150 : 12); n > 0; --n) {
      body += kAlphabet[random() % kAlphabet.size()];
    }
    if (counted) stream += std::to_string(body.size()) + " ";
    stream += body;
    if (!counted) stream += random() % 4 == 0 ? '\0' : '\n';
  }
  return stream;
}

TEST(StreamFramer, HearsTheSameHoweverTheStreamIsCutIntoReads) {
  std::mt19937 random(20261122);
  for (int round = 0; round < 300; ++round) {
    const std::string stream = random_stream(random);
    const Heard whole = hear(stream, FramingMode::automatic, 1 << 20, 64);
    for (const std::size_t read_bytes : {1U, 2U, 7U, 61U}) {
      const Heard cut = hear(stream, FramingMode::automatic, read_bytes, 1 + random() % 3);
      ASSERT_EQ(whole.messages, cut.messages) << "round " << round << ", reads of " << read_bytes;
      ASSERT_EQ(whole.error, cut.error);
      ASSERT_LE(cut.tail_bytes_max, StreamFramer(FramingMode::automatic, kLimit).unfinished_bytes_max());
    }
  }
}

}  // namespace
}  // namespace fastlogd::wire
