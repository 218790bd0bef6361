#include "ingest/reply_buffer.hpp"

#include <sys/socket.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::ingest {
namespace {

using wire::NativeType;
using wire::Refusal;

class ReplyBufferTest : public testing::Test {
 protected:
  ReplyBufferTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    daemon_ = UniqueFd(ends[0]);
    client_ = UniqueFd(ends[1]);
  }
  std::vector<wire::NativeReply> heard() {
    std::string bytes(1 << 16, '\0');
    const ssize_t n = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    std::vector<wire::NativeReply> replies;
    std::string_view rest(bytes.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    wire::NativeReply reply;
    for (std::size_t consumed = 0; wire::read_reply(rest, reply, consumed) == wire::ReplyStatus::message;
         rest.remove_prefix(consumed)) {
      replies.push_back(reply);
    }
    EXPECT_TRUE(rest.empty());
    return replies;
  }
  /// Until the client's socket takes nothing more.
  void fill() {
    const std::string noise(4096, '\0');
    while (::send(daemon_.get(), noise.data(), noise.size(), MSG_DONTWAIT) > 0) {
    }
  }

  UniqueFd daemon_;
  UniqueFd client_;
  ReplyBuffer replies_;
};

TEST_F(ReplyBufferTest, ARefusalGrowsWhereThereIsNoRoomForAnotherOne) {
  fill();
  std::uint64_t number = 1;
  for (; replies_.has_room(); number += 2) replies_.refuse(number, number, Refusal::too_large);
  EXPECT_FALSE(replies_.extend_refusal(number, number, Refusal::too_large)) << "there is a number between";
  EXPECT_FALSE(replies_.extend_refusal(number - 1, number - 1, Refusal::malformed));
  for (int i = 0; i < 1000; ++i, ++number) replies_.refuse(number - 1, number - 1, Refusal::too_large);
  std::string noise(1 << 20, '\0');
  while (::recv(client_.get(), noise.data(), noise.size(), MSG_DONTWAIT) > 0) {
  }
  EXPECT_NE(replies_.send(daemon_.get(), 1), ReplyBuffer::Sent::nobody_listens);
  EXPECT_EQ(replies_.send(daemon_.get(), 1), ReplyBuffer::Sent::all);
  const auto all = heard();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back().last, number - 2);
}

TEST_F(ReplyBufferTest, WritesRefusalsBeforeTheAcknowledgementThatPassesThem) {
  replies_.refuse(3, 3, Refusal::too_large);
  replies_.refuse(4, 6, Refusal::too_large);
  replies_.refuse(8, 8, Refusal::malformed);
  EXPECT_TRUE(replies_.acknowledge({.stored = 9, .synced = 2}));
  EXPECT_EQ(replies_.send(daemon_.get(), 1), ReplyBuffer::Sent::all);
  const auto all = heard();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].number, 3U);
  EXPECT_EQ(all[0].last, 6U) << "adjoining refusals are one";
  EXPECT_EQ(all[1].refusal, Refusal::malformed);
  EXPECT_EQ(all[2].stored, 9U);
  EXPECT_TRUE(replies_.empty());
}

TEST_F(ReplyBufferTest, SaysNothingTwice) {
  EXPECT_TRUE(replies_.acknowledge({.stored = 5, .synced = 1}));
  EXPECT_EQ(replies_.send(daemon_.get(), 1), ReplyBuffer::Sent::all);
  EXPECT_FALSE(replies_.acknowledge({.stored = 5, .synced = 1}));
  EXPECT_TRUE(replies_.acknowledge({.stored = 5, .synced = 2}));
}

TEST_F(ReplyBufferTest, AnAcknowledgementIsDueWhenThereIsNewsOfANumberThatIsWaitedFor) {
  replies_.start(10);
  EXPECT_FALSE(replies_.is_due({.stored = 12, .synced = 12}, {.stored = 0, .synced = 0})) << "nobody waits";
  EXPECT_FALSE(replies_.is_due({.stored = 12, .synced = 12}, {.stored = 10, .synced = 10})) << "told already";
  EXPECT_FALSE(replies_.is_due({.stored = 10, .synced = 10}, {.stored = 12, .synced = 12})) << "no news";
  EXPECT_TRUE(replies_.is_due({.stored = 11, .synced = 10}, {.stored = 12, .synced = 0})) << "some of it";
  EXPECT_FALSE(replies_.is_due({.stored = 12, .synced = 10}, {.stored = 0, .synced = 12}))
      << "not of what is waited for";
  EXPECT_TRUE(replies_.is_due({.stored = 12, .synced = 11}, {.stored = 0, .synced = 12}));
}

TEST_F(ReplyBufferTest, LetsOneAcknowledgementWaitForAPeerThatDoesNotRead) {
  fill();
  int written = 0;
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    written += replies_.acknowledge({.stored = n, .synced = 0}) ? 1 : 0;
    EXPECT_EQ(replies_.send(daemon_.get(), static_cast<std::int64_t>(n)), ReplyBuffer::Sent::blocked);
    EXPECT_TRUE(replies_.has_room());
  }
  EXPECT_EQ(written, 1);
  EXPECT_EQ(replies_.blocked_since_ns(), 1);
}

TEST_F(ReplyBufferTest, HasNoRoomForEndlessRefusals) {
  fill();
  int taken = 0;
  for (std::uint64_t n = 1; replies_.has_room() && n < 1000; n += 2, ++taken) {
    replies_.refuse(n, n, Refusal::malformed);
    replies_.send(daemon_.get(), 1);
  }
  EXPECT_GT(taken, 10);
  EXPECT_LT(taken, 100);
}

TEST_F(ReplyBufferTest, APeerThatIsGoneIsToldIntoTheVoid) {
  client_.reset();
  replies_.pong(1);
  EXPECT_EQ(replies_.send(daemon_.get(), 1), ReplyBuffer::Sent::nobody_listens);
  for (std::uint64_t number = 1; number < 1000; ++number) {
    replies_.pong(number);
    EXPECT_TRUE(replies_.acknowledge({.stored = number, .synced = number}));
    replies_.send(daemon_.get(), 2);
    EXPECT_TRUE(replies_.empty() && replies_.has_room());
  }
  EXPECT_EQ(replies_.blocked_since_ns(), 0);
}

}  // namespace
}  // namespace fastlogd::ingest
