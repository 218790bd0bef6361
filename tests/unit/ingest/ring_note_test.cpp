#include "ingest/ring_note.hpp"

#include <array>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "ring/shared_layout.hpp"

namespace fastlogd::ingest {
namespace {

using Bytes = std::array<std::byte, ring::ConsumerPage::kNoteBytes>;

RingNote example() {
  return {.client = {.id = {1, 2, 3}, .uid = 1000},
          .gid = 1001,
          .pid = 4711,
          .listener = "app",
          .stream = "main",
          .identifier = "web",
          .host = ""};
}

TEST(RingNote, ComesBackAsItWasWritten) {
  Bytes bytes{};
  ASSERT_TRUE(write_ring_note(bytes, example()));
  const auto read = read_ring_note(bytes);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, example());
}

TEST(RingNote, HasRoomForTheLongestNamesAndNoMore) {
  Bytes bytes{};
  const std::string longest(limits::kIdentifierBytesMax, 'i');
  const std::string host(limits::kHostBytesMax, 'h');
  const std::string name(255, 'n');
  RingNote note = example();
  note.identifier = longest;
  note.host = host;
  note.listener = note.stream = name;
  ASSERT_TRUE(write_ring_note(bytes, note));
  EXPECT_EQ(*read_ring_note(bytes), note);
  const std::string too_long(bytes.size(), 'n');
  note.listener = too_long;
  EXPECT_FALSE(write_ring_note(bytes, note));
  EXPECT_FALSE(write_ring_note(std::span(bytes).first(10), example()));
}

TEST(RingNote, IsNotReadFromAnythingElse) {
  Bytes bytes{};
  EXPECT_FALSE(read_ring_note(bytes)) << "a page nobody has written";
  RingNote note = example();
  ASSERT_TRUE(write_ring_note(bytes, note));
  for (std::size_t length = 0; length < 50; ++length) {
    EXPECT_FALSE(read_ring_note(std::span<const std::byte>(bytes).first(length))) << length;
  }
  note.client = {};
  ASSERT_TRUE(write_ring_note(bytes, note));
  EXPECT_FALSE(read_ring_note(bytes)) << "a client nobody could recognize";
}

TEST(RingNote, NeverLeavesItsBytes) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes{};
    ASSERT_TRUE(write_ring_note(bytes, example()));
    for (int flips = 0; flips < 3; ++flips) bytes[4 + random() % 60] = static_cast<std::byte>(random());
    const auto note = read_ring_note(bytes);
    if (!note) continue;
    for (const std::string_view text : {note->listener, note->stream, note->identifier, note->host}) {
      const auto* const at = reinterpret_cast<const std::byte*>(text.data());
      EXPECT_TRUE(at >= bytes.data() && at + text.size() <= bytes.data() + bytes.size());
    }
  }
}

}  // namespace
}  // namespace fastlogd::ingest
