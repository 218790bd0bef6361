// The bytes in src/wire/FORMAT.md are the bytes that are written and read.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "wire/native.hpp"
#include "wire/native_client.hpp"
#include "wire/shared_record.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::string_view kOrder = "a BATCH must begin with the number after the last one";

std::string client_says() {
  std::string out;
  append_hello(out, 1, "app", "h");
  NativeBatch batch(out, 1, Wanted::stored);
  batch.add({.text = "hello"});
  batch.add({.priority = Priority{11},
             .wanted = Wanted::synced,
             .sender_time_ns = 1'700'000'000'000'000'007,
             .procid = "42",
             .msgid = "M1",
             .structured_data = R"([a@1 k="v"])",
             .text = "bye"});
  batch.finish();
  append_flush(out, 2);
  return out;
}

std::string daemon_says() {
  std::array<char, limits::kNativeReplyBytesMax> room;
  std::string out;
  out.append(room.data(), write_welcome(room, 1, limits::kRecordBytesDefault));
  out.append(room.data(), write_ack(room, 2, 0));
  out.append(room.data(), write_ack(room, 2, 2));
  out.append(room.data(), write_refused(room, 3, 3, Refusal::too_large));
  out.append(room.data(), write_error(room, NativeError::order, kOrder));
  return out;
}

/// The ring's first frame, as the document shows it: FrameHeader and a record.
std::string in_the_ring() {
  constexpr std::string_view kSlice = R"([a@1 k="v"] bye)";
  std::string frame = std::string("\x28\0\0\0\0\0\0\0", 8) + std::string(32, '\0');
  write_shared_record(reinterpret_cast<std::byte*>(frame.data() + 8), 1, Priority{11}, 12, kSlice.size(),
                      kNoTime);
  frame.replace(24, kSlice.size(), kSlice);
  return frame;
}

std::string asks_for_memory() {
  std::string out;
  append_hello(out, 1, "app", "");
  append_share(out, 1 << 20);
  append_flush(out, 1, Wanted::stored);
  return out;
}

std::string gives_memory() {
  std::array<char, limits::kNativeReplyBytesMax> room;
  std::string out(room.data(), write_welcome(room, 1, limits::kRecordBytesDefault));
  out.append(room.data(), write_memory(room, 1 << 20, limits::kRecordBytesDefault));
  out.append(room.data(), write_ack(room, 1, 0));
  return out;
}

/// Looked for from this program upwards.
std::filesystem::path document() {
  auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  while (folder.has_relative_path() && !std::filesystem::exists(folder / "src/wire/FORMAT.md")) {
    folder = folder.parent_path();
  }
  return folder / "src/wire/FORMAT.md";
}

/// All lines like "    > 00000010  60 00 ..." with that mark, which must follow one another.
std::string shown(std::string mark) {
  mark += ' ';
  std::string bytes;
  std::ifstream text(document());
  EXPECT_TRUE(text) << document();
  for (std::string line; std::getline(text, line);) {
    if (line.size() < 18 || line.compare(0, 4, "    ") != 0 || line.compare(4, mark.size(), mark) != 0)
      continue;
    EXPECT_EQ(std::strtoull(line.c_str() + 4 + mark.size(), nullptr, 16), bytes.size()) << line;
    std::istringstream values(line.substr(14 + mark.size()));
    for (std::string value; values >> value;) bytes += static_cast<char>(std::stoul(value, nullptr, 16));
  }
  return bytes;
}

TEST(NativeDocument, ShowsTheBytesThatAClientWrites) {
  EXPECT_EQ(shown(">"), client_says());
}

TEST(NativeDocument, ShowsTheBytesThatTheDaemonWrites) {
  EXPECT_EQ(shown("<"), daemon_says());
}

TEST(NativeDocument, ShowsHowSharedMemoryIsAskedForAndFilled) {
  EXPECT_EQ(shown("S>"), asks_for_memory());
  EXPECT_EQ(shown("S<"), gives_memory());
  EXPECT_EQ(shown("S="), in_the_ring());
}

TEST(NativeDocument, ShowsAConversationThatTheDaemonUnderstands) {
  const std::string bytes = shown(">");
  NativeDecoder decoder(limits::kRecordBytesDefault);
  std::string_view rest = bytes;
  std::string kinds;
  for (NativeEvent event; decoder.next(rest, event); rest.remove_prefix(event.consumed)) {
    kinds += static_cast<char>('0' + static_cast<int>(event.kind));
    ASSERT_NE(event.kind, NativeEvent::Kind::error) << event.text;
  }
  EXPECT_EQ(kinds, "1224") << "hello, record, record, flush";
  EXPECT_TRUE(rest.empty());
}

}  // namespace
}  // namespace fastlogd::wire
