#include "record/extension.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

std::vector<std::byte> written(const Extension& extension) {
  std::vector<std::byte> bytes(extension_bytes(extension), std::byte{0xff});
  write_extension(extension, bytes.data());
  return bytes;
}

void expect_round_trip(const Extension& extension) {
  const std::vector<std::byte> bytes = written(extension);
  Extension read;
  ASSERT_TRUE(read_extension(bytes, 1000, read));
  EXPECT_EQ(read.message_start, extension.message_start);
  EXPECT_EQ(read.sender_time_ns, extension.sender_time_ns);
  EXPECT_EQ(read.procid, extension.procid);
  EXPECT_EQ(read.msgid, extension.msgid);
}

Extension full() {
  Extension extension;
  extension.message_start = 12;
  extension.sender_time_ns = 1'795'388'701'123'456'789;
  extension.procid = "812";
  extension.msgid = "ID47";
  return extension;
}

TEST(Extension, TakesNoRoomIfItSaysNothing) {
  EXPECT_EQ(extension_bytes({}), 0u);
  Extension read = full();
  EXPECT_TRUE(read_extension({}, 0, read));
  EXPECT_TRUE(read.empty());
}

TEST(Extension, ComesBackAsWritten) {
  expect_round_trip(full());
  Extension only_time;
  only_time.sender_time_ns = -1;
  expect_round_trip(only_time);
  Extension only_start;
  only_start.message_start = 3;
  expect_round_trip(only_start);
}

TEST(Extension, HoldsTheLargestFields) {
  const std::string procid(limits::kProcidBytesMax, 'p');
  const std::string msgid(limits::kMsgidBytesMax, 'm');
  Extension extension = full();
  extension.procid = procid;
  extension.msgid = msgid;
  EXPECT_EQ(extension_bytes(extension), kExtensionBytesMax);
  expect_round_trip(extension);
}

TEST(Extension, PadsWithZerosToWords) {
  for (std::size_t bytes = 0; bytes < 17; ++bytes) {
    const std::string procid(bytes, 'p');
    Extension extension = full();
    extension.msgid = {};
    extension.procid = procid;
    const std::vector<std::byte> written_bytes = written(extension);
    ASSERT_EQ(written_bytes.size() % 8, 0u);
    for (std::size_t i = 16 + bytes; i < written_bytes.size(); ++i) EXPECT_EQ(written_bytes[i], std::byte{0});
  }
}

TEST(Extension, IsDamagedIfItsLengthDoesNotFit) {
  const std::vector<std::byte> bytes = written(full());
  Extension read;
  for (std::size_t kept = 1; kept < bytes.size(); ++kept) {
    EXPECT_FALSE(read_extension(std::span(bytes).first(kept), 1000, read)) << kept;
  }
  std::vector<std::byte> longer = bytes;
  longer.resize(bytes.size() + 8);
  EXPECT_FALSE(read_extension(longer, 1000, read));
}

TEST(Extension, IsDamagedIfItsFixedBytesLie) {
  Extension read;
  for (const std::size_t at : {4U, 5U, 6U, 7U}) {
    std::vector<std::byte> bytes = written(full());
    bytes[at] = std::byte{0xff};
    EXPECT_FALSE(read_extension(bytes, 1000, read)) << at;
  }
}

TEST(Extension, IsDamagedIfTheMessageStartsBehindTheSlice) {
  const std::vector<std::byte> bytes = written(full());
  Extension read;
  EXPECT_TRUE(read_extension(bytes, 12, read));
  EXPECT_FALSE(read_extension(bytes, 11, read));
}

}  // namespace
}  // namespace fastlogd
