#include "view/json.hpp"

#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "view/text.hpp"
#include "view/utf8.hpp"

namespace fastlogd::view {
namespace {

using namespace std::string_view_literals;

RecordView record(std::string_view slice) {
  RecordView view;
  view.sequence.value = 7;
  view.receive_time_ns = 1'795'388'701'123'456'789;
  view.source.transport = Transport::tcp;
  view.slice = slice;
  return view;
}

std::string json(const RecordView& view) {
  std::string out;
  append_json(out, view);
  return out;
}

boost::json::object parsed(const RecordView& view) {
  return boost::json::parse(json(view)).as_object();
}

TEST(Json, HasTheDocumentedKeysInOrder) {
  RecordView view = record("hello");
  view.sender_time_ns = view.receive_time_ns - 1;
  view.priority.value = 11;
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc3164) | RecordFlags::kTruncated;
  view.source = SourceView{Transport::unix_stream, 1000, 1001, 42, "web1", "sshd"};
  view.procid = "812";
  view.msgid = "ID47";
  EXPECT_EQ(
      json(view),
      R"({"seq":7,"time":"2026-11-22T23:05:01.123456789Z","sender_time":"2026-11-22T23:05:01.123456788Z",)"
      R"("severity":"err","facility":"user","transport":"unix-stream","uid":1000,"gid":1001,"pid":42,)"
      R"("host":"web1","identifier":"sshd","procid":"812","msgid":"ID47","format":"rfc3164","truncated":true,)"
      R"("message":"hello"})");
}

TEST(Json, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(json(record("")),
            R"({"seq":7,"time":"2026-11-22T23:05:01.123456789Z","severity":"info","facility":"user",)"
            R"("transport":"tcp","message":""})");
}

TEST(Json, EscapesWhatJsonDemands) {
  const std::string_view message =
      "quote \" back \\ nl \n tab \t bell \x07 nul \0 esc \x1b gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"sv;
  const boost::json::object object = parsed(record(message));
  EXPECT_EQ(object.at("message").as_string(), message);
  EXPECT_FALSE(object.contains("message_base64"));
}

TEST(Json, EscapesWhatATerminalObeys) {
  const std::string_view message =
      "del \x7f csi \xc2\x9b"
      "2J \xc2\x80 \xc2\x9f nbsp \xc2\xa0 \xc3\x9b \xe2\x80\x9b"sv;
  EXPECT_NE(json(record(message))
                .find("del \\u007f csi \\u009b2J \\u0080 \\u009f nbsp \xc2\xa0 \xc3\x9b \xe2\x80\x9b\""),
            std::string::npos)
      << json(record(message));
  EXPECT_NE(json(record("\x7f")).find("\"\\u007f\""), std::string::npos) << "ASCII all of it";
  EXPECT_EQ(parsed(record(message)).at("message").as_string(), message);
  EXPECT_FALSE(parsed(record(message)).contains("message_base64"));
  const std::string_view slice = "[a x=\"\x7f\xc2\x9b\xc2\xa0\"]";
  RecordView view = record(slice);
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = static_cast<std::uint32_t>(slice.size());
  EXPECT_NE(json(view).find("{\"a\":{\"x\":\"\\u007f\\u009b\xc2\xa0\"}}"), std::string::npos) << json(view);
  EXPECT_EQ(parsed(view).at("structured_data").at("a").at("x").as_string(), "\x7f\xc2\x9b\xc2\xa0");
}

TEST(Json, KeepsInvalidUtf8Exactly) {
  const boost::json::object object = parsed(record("a\xff\xc3("));
  EXPECT_EQ(object.at("message").as_string(), "a\xef\xbf\xbd\xef\xbf\xbd(");
  EXPECT_EQ(object.at("message_base64").as_string(), "Yf/DKA==");
}

TEST(Json, ShowsStructuredDataAsObjects) {
  const std::string_view slice = R"([a@1 x="1" y="q\"]\\" x="2" x="3"][empty][a@1 z="4"] text)";
  RecordView view = record(slice);
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = static_cast<std::uint32_t>(slice.size() - 4);
  const boost::json::object object = parsed(view);
  EXPECT_EQ(boost::json::serialize(object.at("structured_data")),
            R"({"a@1":{"x":["1","2","3"],"y":"q\"]\\","z":"4"},"empty":{}})");
  EXPECT_EQ(object.at("message").as_string(), "text");
}

TEST(Json, KeepsInvalidUtf8InStructuredData) {
  const std::string_view slice = "[a x=\"\xff\"]";
  RecordView view = record(slice);
  view.flags.bits = static_cast<std::uint8_t>(RecordFormat::rfc5424);
  view.message_start = static_cast<std::uint32_t>(slice.size());
  const boost::json::object object = parsed(view);
  EXPECT_EQ(boost::json::serialize(object.at("structured_data")), "{\"a\":{\"x\":\"\xef\xbf\xbd\"}}");
  EXPECT_EQ(object.at("structured_data_base64").as_string(), "W2EgeD0i/yJd");
}

TEST(Json, TellsOfGaps) {
  std::string out;
  append_gap_json(out, {.reason = ingress::LossReason::retention, .count = 0, .first = {3}, .last = {9}});
  EXPECT_EQ(out, R"({"gap":{"reason":"retention","first":3,"last":9}})");
  out.clear();
  append_gap_json(out, {.reason = ingress::LossReason{200}, .count = 2});
  EXPECT_EQ(out, R"({"gap":{"reason":"200","count":2}})") << "of a later version";
}

TEST(Utf8, KnowsWellFormedSequences) {
  EXPECT_TRUE(is_valid_utf8(
      "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
  for (const std::string_view bad :
       {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xc3"sv, "\xe2\x82"sv}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

TEST(Base64, GivesTheVectorsOfTheRfc) {
  const auto base64 = [](std::string_view bytes) {
    std::string out;
    append_base64(out, bytes);
    return out;
  };
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace fastlogd::view
