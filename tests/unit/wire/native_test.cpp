#include "wire/native.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/native_client.hpp"

namespace fastlogd::wire {
namespace {

using namespace std::string_view_literals;
using Kind = NativeEvent::Kind;

constexpr std::size_t kLimit = 1024;

/// What a connection said, in short.
struct Heard {
  Kind kind;
  std::uint64_t number = 0;
  std::string slice;
  Wanted wanted = Wanted::none;
  Refusal refusal{};
  NativeError error = NativeError::none;
  std::string text;

  friend bool operator==(const Heard&, const Heard&) = default;
};

Heard heard(const NativeEvent& event) {
  switch (event.kind) {
    case Kind::hello:
      return {.kind = event.kind,
              .number = event.hello.first_number,
              .text = std::string(event.hello.identifier)};
    case Kind::record:
      return {.kind = event.kind,
              .number = event.record.number,
              .slice = std::string(event.record.slice),
              .wanted = event.record.wanted};
    case Kind::refused:
      return {.kind = event.kind, .number = event.number, .wanted = event.wanted, .refusal = event.refusal};
    case Kind::error:
      return {.kind = event.kind, .error = event.error, .text = event.text};
    default:
      return {.kind = event.kind, .number = event.number};
  }
}

/// Hands the bytes over `step` at a time, the unconsumed tail in front of the next, as a session does.
std::vector<Heard> listen(NativeDecoder& decoder, std::string_view bytes, std::size_t step) {
  std::vector<Heard> all;
  std::string tail;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    tail += bytes.substr(at, step);
    NativeEvent event;
    bool more = true;
    while (more) {
      more = decoder.next(tail, event);
      if (more) all.push_back(heard(event));  // its views point into the tail
      tail.erase(0, event.consumed);
      if (event.kind == Kind::error) return all;
    }
    EXPECT_LE(tail.size(), decoder.unfinished_bytes_max());
  }
  return all;
}
std::vector<Heard> listen(std::string_view bytes, std::size_t step = 1 << 20) {
  NativeDecoder decoder(kLimit);
  return listen(decoder, bytes, step);
}

std::string greeting(std::uint64_t first = 1) {
  std::string out;
  append_hello(out, first, "app", "host");
  return out;
}

std::string batch(std::uint64_t first, Wanted wanted, std::initializer_list<NativeMessage> messages) {
  std::string out;
  NativeBatch built(out, first, wanted);
  for (const NativeMessage& message : messages) built.add(message);
  built.finish();
  return out;
}

template <class T>
std::string with(std::string bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return bytes;
}

constexpr std::size_t kBatchAt = 8 + 16 + 16 + 8;  // behind greeting(): magic, HELLO with 7 bytes of text
constexpr std::size_t kRecordAt = kBatchAt + 24;

std::string one_record(NativeMessage message = {.text = "hello"}) {
  return greeting() + batch(1, Wanted::stored, {message});
}

NativeError error_of(const std::string& bytes) {
  const auto all = listen(bytes);
  if (all.empty() || all.back().kind != Kind::error) return NativeError::none;
  EXPECT_FALSE(all.back().text.empty());
  return all.back().error;
}

TEST(NativeDecoder, ReadsHelloRecordsFlushAndPing) {
  std::string bytes = greeting(7);
  bytes += batch(7, Wanted::stored,
                 {{.text = "one"}, {.wanted = Wanted::synced, .text = ""}, {.text = "three\nlines\0"sv}});
  append_flush(bytes, 9);
  append_ping(bytes, 4711);
  const std::vector<Heard> expected = {
      {.kind = Kind::hello, .number = 7, .text = "app"},
      {.kind = Kind::record, .number = 7, .slice = "one", .wanted = Wanted::stored},
      {.kind = Kind::record, .number = 8, .slice = "", .wanted = Wanted::synced},
      {.kind = Kind::record, .number = 9, .slice = std::string("three\nlines\0"sv), .wanted = Wanted::stored},
      {.kind = Kind::flush, .number = 9},
      {.kind = Kind::ping, .number = 4711},
  };
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{16}, bytes.size()}) {
    EXPECT_TRUE(listen(bytes, step) == expected) << "cut into " << step;
  }
}

TEST(NativeDecoder, GivesAllFieldsOfARecordAsViews) {
  const std::string bytes = one_record({.priority = Priority{165},
                                        .sender_time_ns = 1'700'000'000'000'000'001,
                                        .identifier = "web",
                                        .procid = "42",
                                        .msgid = "REQ",
                                        .structured_data = R"([x@1 a="b\"c"])",
                                        .text = "a message"});
  NativeDecoder decoder(kLimit);
  NativeEvent event;
  ASSERT_TRUE(decoder.next(bytes, event));
  ASSERT_EQ(event.kind, Kind::hello);
  EXPECT_EQ(event.hello.host, "host");
  ASSERT_TRUE(decoder.next(std::string_view(bytes).substr(event.consumed), event));
  ASSERT_EQ(event.kind, Kind::record);
  const NativeRecord& record = event.record;
  EXPECT_EQ(record.priority.value, 165);
  EXPECT_EQ(record.sender_time_ns, 1'700'000'000'000'000'001);
  EXPECT_EQ(record.identifier, "web");
  EXPECT_EQ(record.procid, "42");
  EXPECT_EQ(record.msgid, "REQ");
  EXPECT_EQ(record.slice, R"([x@1 a="b\"c"] a message)");
  EXPECT_EQ(record.slice.substr(record.message_start), "a message");
  EXPECT_TRUE(record.slice.data() > bytes.data() && record.slice.data() < bytes.data() + bytes.size());
  EXPECT_LT(record.procid.data(), record.slice.data());
}

TEST(NativeDecoder, RefusesARecordOverTheLimitAndSkipsItAsItComes) {
  const std::string large(5000, 'x');
  const std::string bytes =
      greeting() +
      batch(1, Wanted::none, {{.text = "a"}, {.wanted = Wanted::synced, .text = large}, {.text = "b"}});
  const std::vector<Heard> expected = {
      {.kind = Kind::hello, .number = 1, .text = "app"},
      {.kind = Kind::record, .number = 1, .slice = "a"},
      {.kind = Kind::refused, .number = 2, .wanted = Wanted::synced, .refusal = Refusal::too_large},
      {.kind = Kind::record, .number = 3, .slice = "b"},
  };
  for (const std::size_t step : {std::size_t{1}, std::size_t{100}, bytes.size()}) {
    EXPECT_TRUE(listen(bytes, step) == expected) << "cut into " << step;
  }
}

TEST(NativeDecoder, TakesTheLargestRecordAndNotOneByteMore) {
  const std::string fits(kLimit, 'x');
  const std::string over(kLimit + 1, 'x');
  EXPECT_EQ(listen(one_record({.text = fits})).back().kind, Kind::record);
  EXPECT_EQ(listen(one_record({.text = over})).back().refusal, Refusal::too_large);
}

TEST(NativeDecoder, RefusesWhatMakesNoSenseRecordByRecord) {
  const auto first_refusal = [](const std::string& bytes) {
    const std::string more = batch(2, Wanted::stored, {{.text = "next"}});
    const auto all = listen(bytes + more);
    EXPECT_EQ(all.size(), 3U);
    EXPECT_EQ(all.back().slice, "next") << "the connection goes on";
    EXPECT_EQ(all[1].number, 1U);
    return all[1].kind == Kind::refused ? all[1].refusal : Refusal{};
  };
  const std::string good = one_record({.text = "hello"});  // 16 + 5 bytes and 3 of padding
  EXPECT_EQ(first_refusal(good), Refusal{});
  EXPECT_EQ(first_refusal(with<std::uint8_t>(good, kRecordAt + 8, 192)), Refusal::malformed) << "priority";
  EXPECT_EQ(first_refusal(with<std::uint8_t>(good, kRecordAt + 9, 0x03)), Refusal::malformed) << "wanted";
  EXPECT_EQ(first_refusal(with<std::uint8_t>(good, kRecordAt + 9, 0x08)), Refusal::malformed) << "flag";
  EXPECT_EQ(first_refusal(with<std::uint8_t>(good, kRecordAt + 13, 1)), Refusal::malformed) << "zero";
  EXPECT_EQ(first_refusal(with<std::uint8_t>(good, kRecordAt + 23, 1)), Refusal::malformed) << "padding";
  EXPECT_EQ(first_refusal(with<std::uint32_t>(good, kRecordAt + 4, 6)), Refusal::malformed) << "start behind";
  EXPECT_EQ(first_refusal(with<std::uint32_t>(good, kRecordAt + 4, 2)), Refusal::malformed)
      << "no data there";
  EXPECT_EQ(first_refusal(one_record({.identifier = "two words", .text = "x"})), Refusal::malformed);
  EXPECT_EQ(first_refusal(one_record({.procid = "1\n2", .text = "x"})), Refusal::malformed);
  EXPECT_EQ(first_refusal(one_record({.msgid = std::string(33, 'm'), .text = "x"})), Refusal::malformed);
  EXPECT_EQ(first_refusal(one_record({.structured_data = "[a b=c]", .text = "x"})), Refusal::malformed);
}

TEST(NativeDecoder, EndsTheConnectionWhenLengthsLie) {
  const std::string good = one_record();
  EXPECT_EQ(error_of(good), NativeError::none);
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kRecordAt, 6000)), NativeError::malformed) << "over its BATCH";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kRecordAt, 0xffffffff)), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint8_t>(good, kRecordAt + 10, 255)), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt, 48 + 8)), NativeError::malformed)
      << "BATCH too long";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt, 47)), NativeError::malformed) << "no multiple of 8";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt, 8)), NativeError::malformed) << "no header";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt, 2 << 20)), NativeError::malformed)
      << "over the maximum";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt + 16, 0)), NativeError::malformed) << "no record";
  const std::string two = greeting() + batch(1, Wanted::stored, {{.text = "hello"}, {.text = "world"}});
  EXPECT_EQ(error_of(two), NativeError::none);
  EXPECT_EQ(error_of(with<std::uint32_t>(two, kRecordAt, 9)), NativeError::malformed)
      << "into the next record";
  EXPECT_EQ(error_of(with<std::uint32_t>(two, kRecordAt, 900)), NativeError::malformed) << "over both";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, kBatchAt + 16, 2)), NativeError::malformed) << "room for one";
  EXPECT_EQ(error_of(with<std::uint8_t>(good, kBatchAt + 5, 3)), NativeError::malformed) << "wanted";
  EXPECT_EQ(error_of(with<std::uint16_t>(good, kBatchAt + 6, 1)), NativeError::malformed) << "zero";
}

TEST(NativeDecoder, EndsTheConnectionOverTypesThatClientsDoNotSend) {
  for (const int type : {0, 1, 5, 7, 127, 129, 130, 255}) {
    EXPECT_EQ(error_of(with(one_record(), kBatchAt + 4, static_cast<std::uint8_t>(type))),
              NativeError::malformed)
        << type;
  }
}

TEST(NativeDecoder, WantsDenseNumbers) {
  EXPECT_EQ(error_of(greeting() + batch(2, Wanted::none, {{.text = "x"}})), NativeError::order);
  EXPECT_EQ(error_of(greeting(0)), NativeError::order);
  EXPECT_EQ(error_of(greeting(UINT64_MAX)), NativeError::order);
  std::string bytes = one_record();
  append_flush(bytes, 2);
  EXPECT_EQ(error_of(bytes), NativeError::order);
}

TEST(NativeDecoder, AFlushSaysWhichLevelItWants) {
  std::string bytes = one_record();
  append_flush(bytes, 1, Wanted::stored);
  append_flush(bytes, 1, Wanted::synced);
  NativeDecoder decoder(1024);
  std::vector<Wanted> wanted;
  std::string_view rest = bytes;
  for (NativeEvent event; decoder.next(rest, event); rest.remove_prefix(event.consumed)) {
    if (event.kind == Kind::flush) wanted.push_back(event.wanted);
  }
  EXPECT_EQ(wanted, (std::vector<Wanted>{Wanted::stored, Wanted::synced}));
  bytes[bytes.size() - 11] = 2;
  EXPECT_EQ(error_of(bytes), NativeError::malformed) << "no such level";
}

TEST(NativeDecoder, MemoryIsAskedForOnceAndBeforeTheFirstRecord) {
  std::string bytes = greeting();
  append_share(bytes, 1 << 20);
  const auto heard = listen(bytes);
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_TRUE(heard.back().kind == Kind::share && heard.back().number == 1 << 20);
  std::string twice = bytes;
  append_share(twice, 1 << 20);
  EXPECT_EQ(error_of(twice), NativeError::order);
  std::string late = one_record();
  append_share(late, 1 << 20);
  EXPECT_EQ(error_of(late), NativeError::order);
  bytes[bytes.size() - 11] = 2;
  EXPECT_EQ(error_of(bytes), NativeError::malformed) << "a layout nobody knows";
}

TEST(NativeDecoder, WithSharedMemoryTheSocketCarriesNoRecordsButBells) {
  std::string bytes = greeting();
  append_share(bytes, 1 << 20);
  NativeDecoder decoder(1024);
  std::string_view rest = bytes;
  NativeEvent event;
  while (decoder.next(rest, event)) rest.remove_prefix(event.consumed);
  const NativeHeader bell{.bytes = sizeof(NativeHeader), .type = NativeType::bell};
  const std::string_view ring(reinterpret_cast<const char*>(&bell), sizeof bell);
  NativeDecoder without = decoder;
  ASSERT_TRUE(without.next(ring, event));
  EXPECT_EQ(event.kind, Kind::error) << "nobody gave it any";
  decoder.records_are_shared();
  ASSERT_TRUE(decoder.next(ring, event));
  EXPECT_EQ(event.kind, Kind::bell);
  std::string flush;
  append_flush(flush, 77, Wanted::stored);
  ASSERT_TRUE(decoder.next(flush, event));
  EXPECT_EQ(event.kind, Kind::flush) << "what has been sent is in the memory";
  ASSERT_TRUE(decoder.next(batch(1, Wanted::none, {{.text = "x"}}), event));
  EXPECT_EQ(event.error, NativeError::order);
}

TEST(NativeDecoder, HearsWhoTheClientIs) {
  ClientId id{};
  for (std::uint8_t i = 0; i < id.size(); ++i) id[i] = i;
  NativeDecoder decoder(kLimit);
  NativeEvent event;
  std::string bytes;
  append_hello(bytes, 5, "app", "host", id);
  const std::string bare = greeting(5);
  EXPECT_EQ(bytes.size(), bare.size() + id.size());
  ASSERT_TRUE(decoder.next(bytes, event));
  ASSERT_EQ(event.kind, Kind::hello);
  EXPECT_EQ(event.hello.client, id);
  EXPECT_EQ(event.hello.identifier, "app");
  EXPECT_EQ(event.hello.host, "host");
  EXPECT_EQ(event.consumed, bytes.size());
  ASSERT_TRUE((decoder = NativeDecoder(kLimit)).next(bare, event));
  EXPECT_EQ(event.hello.client, ClientId{}) << "says nothing";

  constexpr std::size_t kClientIdBytesAt = 8 + 16 + 10;
  ASSERT_EQ(bytes[kClientIdBytesAt], 16);
  EXPECT_EQ(error_of(with<std::uint8_t>(bytes, kClientIdBytesAt, 17)), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint8_t>(bytes, kClientIdBytesAt, 15)), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint8_t>(bytes, kClientIdBytesAt, 0)), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint8_t>(bytes, kClientIdBytesAt + 1, 1)), NativeError::malformed) << "zero";
}

TEST(NativeDecoder, WantsTheMagicThenHelloAndAVersionItKnows) {
  const std::string good = greeting();
  EXPECT_EQ(error_of(with<char>(good, 7, '\n')), NativeError::malformed);
  EXPECT_EQ(error_of(with<std::uint8_t>(good, 12, 2)), NativeError::malformed) << "a BATCH first";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, 8, 1 << 16)), NativeError::malformed) << "HELLO too long";
  EXPECT_EQ(error_of(with<std::uint16_t>(with<std::uint16_t>(good, 24, 2), 26, 9)), NativeError::version);
  EXPECT_EQ(error_of(with<std::uint16_t>(with<std::uint16_t>(good, 24, 0), 26, 0)), NativeError::version);
  EXPECT_EQ(error_of(with<std::uint16_t>(good, 26, 9)), NativeError::none) << "1 to 9: version 1 is in there";
  EXPECT_EQ(error_of(with<std::uint32_t>(good, 28, 1)), NativeError::malformed) << "a flag";
  EXPECT_EQ(error_of(with<std::uint8_t>(good, 32, 40)), NativeError::malformed)
      << "identifier over the message";
  EXPECT_EQ(error_of(with<char>(good, 41, ' ')), NativeError::malformed) << "a space in the identifier";
  EXPECT_EQ(error_of(with<char>(good, 47, 'x')), NativeError::malformed) << "padding";
}

TEST(NativeDecoder, TakesANewLimitFromTheNextRecordOn) {
  NativeDecoder decoder(kLimit);
  const std::string large(500, 'x');
  EXPECT_EQ(listen(decoder, greeting() + batch(1, Wanted::none, {{.text = large}}), 4096).back().kind,
            Kind::record);
  decoder.set_record_bytes_max(100);
  EXPECT_EQ(listen(decoder, batch(2, Wanted::none, {{.text = large}}), 4096).back().refusal,
            Refusal::too_large);
  EXPECT_EQ(decoder.next_number(), 3U);
  EXPECT_TRUE(decoder.between_messages());
}

TEST(NativeReplies, FitTheirBoundAndAreReadByTheClient) {
  std::array<char, limits::kNativeReplyBytesMax> room;
  NativeReply reply;
  std::size_t consumed = 0;
  const auto read = [&](std::size_t bytes) {
    EXPECT_LE(bytes, room.size());
    EXPECT_EQ(bytes % 8, 0U);
    EXPECT_EQ(read_reply({room.data(), bytes - 1}, reply, consumed), ReplyStatus::more);
    EXPECT_EQ(read_reply({room.data(), bytes}, reply, consumed), ReplyStatus::message);
    EXPECT_EQ(consumed, bytes);
  };
  read(write_welcome(room, 12, 65536));
  EXPECT_EQ(reply.number, 12U);
  EXPECT_EQ(reply.record_bytes_max, 65536U);
  EXPECT_EQ(reply.message_bytes_max, limits::kNativeMessageBytesMax);
  read(write_ack(room, 100, 90));
  EXPECT_EQ(reply.stored, 100U);
  EXPECT_EQ(reply.synced, 90U);
  read(write_refused(room, 5, 7, Refusal::stream_full));
  EXPECT_EQ(reply.number, 5U);
  EXPECT_EQ(reply.last, 7U);
  EXPECT_EQ(reply.refusal, Refusal::stream_full);
  read(write_error(room, NativeError::order, std::string(500, 'e')));
  EXPECT_EQ(reply.error, NativeError::order);
  EXPECT_EQ(reply.text, std::string(limits::kNativeErrorTextBytesMax, 'e'));
  read(write_pong(room, 3));
  EXPECT_EQ(reply.number, 3U);
}

TEST(NativeNames, AreDistinct) {
  EXPECT_EQ(refusal_name(Refusal::durability_unknown), "durability_unknown");
  EXPECT_EQ(native_error_name(NativeError::not_reading), "not_reading");
  EXPECT_EQ(refusal_name(static_cast<Refusal>(99)), "unknown");
}

}  // namespace
}  // namespace fastlogd::wire
