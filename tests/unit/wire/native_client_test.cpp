#include "wire/native_client.hpp"

#include <array>
#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "wire/native.hpp"

namespace fastlogd::wire {
namespace {

std::string reply(NativeType type, std::uint8_t detail, std::uint64_t number, std::string body = {}) {
  const NativeHeader header{.bytes = static_cast<std::uint32_t>(sizeof(NativeHeader) + body.size()),
                            .type = type,
                            .detail = detail,
                            .number = number};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + body;
}

std::string number(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

ReplyStatus status_of(const std::string& bytes) {
  NativeReply read;
  std::size_t consumed = 0;
  const ReplyStatus status = read_reply(bytes, read, consumed);
  EXPECT_EQ(consumed, status == ReplyStatus::message ? bytes.size() : 0);
  return status;
}

TEST(NativeBatch, IsAlignedAndCountsItself) {
  std::string out = "before: ";
  NativeBatch batch(out, 5, Wanted::stored);
  for (const std::string_view text : {"", "1234567", "12345678", "123456789"}) {
    const std::size_t before = out.size();
    batch.add({.text = text});
    EXPECT_EQ(out.size() - before, native_record_bytes({.text = text}));
    EXPECT_EQ(out.size() % 8, 0U);
  }
  batch.finish();
  NativeHeader header;
  std::memcpy(&header, out.data() + 8, sizeof header);
  EXPECT_EQ(header.bytes, out.size() - 8);
  EXPECT_EQ(header.number, 5U);
  EXPECT_EQ(batch.records(), 4U);
}

TEST(NativeBatch, LeavesNothingWithoutRecords) {
  std::string out = "before";
  NativeBatch(out, 1, Wanted::none).finish();
  EXPECT_EQ(out, "before");
}

TEST(NativeBatch, KnowsWhatStillFits) {
  std::string out = "something before it";
  const std::string text(100, 'x');
  NativeBatch batch(out, 1, Wanted::none);
  const std::size_t limit = 24 + 3 * native_record_bytes({.text = text});
  while (batch.fits({.text = text}, limit)) batch.add({.text = text});
  EXPECT_EQ(batch.records(), 3U);
}

/// Whatever a client says arrives as it was said.
TEST(NativeBatch, IsReadByTheDaemonAsItWasWritten) {
  std::mt19937_64 random(7);
  std::string bytes;
  append_hello(bytes, 1, "id", "");
  std::vector<NativeMessage> sent;
  const std::array<std::string, 3> texts = {"", "short", std::string(3000, 'z')};
  const std::array<std::string_view, 2> data = {"", R"([a@1 b="c"][d])"};
  for (std::uint64_t first = 1; first < 400;) {
    NativeBatch batch(bytes, first, Wanted::none);
    for (std::uint64_t n = 1 + random() % 5; n > 0; --n, ++first) {
      sent.push_back({.priority = Priority{static_cast<std::uint8_t>(random() % 192)},
                      .wanted = static_cast<Wanted>(random() % 3),
                      .sender_time_ns = random() % 2 == 0 ? kNoTime : static_cast<std::int64_t>(random()),
                      .identifier = random() % 2 == 0 ? "" : "other",
                      .procid = random() % 2 == 0 ? "" : "12",
                      .msgid = random() % 2 == 0 ? "" : "M",
                      .structured_data = data[random() % 2],
                      .text = texts[random() % 3]});
      batch.add(sent.back());
    }
    batch.finish();
  }
  NativeDecoder decoder(4096);
  std::string_view rest = bytes;
  std::size_t records = 0;
  for (NativeEvent event; decoder.next(rest, event); rest.remove_prefix(event.consumed)) {
    if (event.kind == NativeEvent::Kind::hello) continue;
    ASSERT_EQ(event.kind, NativeEvent::Kind::record) << event.text;
    const NativeMessage& was = sent[records++];
    const NativeRecord& is = event.record;
    EXPECT_EQ(is.number, records);
    EXPECT_EQ(is.priority, was.priority);
    EXPECT_EQ(is.wanted, was.wanted);
    EXPECT_EQ(is.sender_time_ns, was.sender_time_ns);
    EXPECT_EQ(is.identifier, was.identifier);
    EXPECT_EQ(is.procid, was.procid);
    EXPECT_EQ(is.msgid, was.msgid);
    EXPECT_EQ(is.slice.substr(is.message_start), was.text);
    if (!was.structured_data.empty()) {
      EXPECT_EQ(is.slice.substr(0, is.message_start - 1), was.structured_data);
    }
  }
  EXPECT_EQ(records, sent.size());
}

TEST(ReadReply, KnowsMemoryAndItsRefusal) {
  std::array<char, limits::kNativeReplyBytesMax> room;
  NativeReply read;
  std::size_t consumed = 0;
  const std::string given(room.data(), write_memory(room, 1 << 20, 65536));
  ASSERT_EQ(read_reply(given, read, consumed), ReplyStatus::message);
  EXPECT_EQ(read.number, std::uint64_t{1} << 20);
  EXPECT_EQ(read.record_bytes_max, 65536U);
  EXPECT_EQ(read.share_refusal, ShareRefusal::none);
  const std::string refused(room.data(), write_memory_refused(room, ShareRefusal::quota));
  ASSERT_EQ(read_reply(refused, read, consumed), ReplyStatus::message);
  EXPECT_EQ(read.number, 0U);
  EXPECT_EQ(read.share_refusal, ShareRefusal::quota);
  EXPECT_EQ(status_of(reply(NativeType::memory, 0, 0, number(9))), ReplyStatus::broken)
      << "neither memory nor a reason";
}

TEST(ReadReply, WaitsForTheWholeMessage) {
  const std::string ack = reply(NativeType::ack, 0, 9, number(4));
  for (std::size_t n = 0; n < ack.size(); ++n) EXPECT_EQ(status_of(ack.substr(0, n)), ReplyStatus::more);
  EXPECT_EQ(status_of(ack), ReplyStatus::message);
}

TEST(ReadReply, TakesNothingThatIsNotOfTheProtocol) {
  EXPECT_EQ(status_of(reply(NativeType::ack, 0, 3, number(4))), ReplyStatus::broken)
      << "synced before stored";
  EXPECT_EQ(status_of(reply(NativeType::ack, 0, 3)), ReplyStatus::broken) << "too short";
  EXPECT_EQ(status_of(reply(NativeType::refused, 0, 3, number(4))), ReplyStatus::broken) << "no reason";
  EXPECT_EQ(status_of(reply(NativeType::refused, 1, 5, number(4))), ReplyStatus::broken)
      << "ends before it begins";
  EXPECT_EQ(status_of(reply(NativeType::hello, 0, 1, number(4))), ReplyStatus::broken);
  EXPECT_EQ(status_of(reply(NativeType::error, 1, 201, std::string(208, ' '))), ReplyStatus::broken);
  EXPECT_EQ(status_of(reply(NativeType::error, 1, 9, std::string(8, ' '))), ReplyStatus::broken);
  EXPECT_EQ(status_of(reply(NativeType::pong, 0, 1, number(4))), ReplyStatus::broken);
  EXPECT_EQ(status_of(std::string(16, '\0')), ReplyStatus::broken);
}

}  // namespace
}  // namespace fastlogd::wire
