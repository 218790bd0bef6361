#include "wire/shared_record.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::wire {
namespace {

std::vector<std::byte> payload_of(std::string_view slice, std::uint32_t message_start = 0,
                                  std::int64_t time = kNoTime, std::uint8_t priority = 14) {
  const std::size_t start = shared_record_start(time != kNoTime);
  std::vector<std::byte> bytes((start + slice.size() + 7) / 8 * 8, std::byte{0xee});
  write_shared_record(bytes.data(), 4711, Priority{priority}, message_start, slice.size(), time);
  std::memcpy(bytes.data() + start, slice.data(), slice.size());
  return bytes;
}

SharedStatus status_of(const std::vector<std::byte>& bytes) {
  SharedRecord record;
  return read_shared_record(bytes, record);
}

SharedStatus with(std::vector<std::byte> bytes, std::size_t at, int value) {
  bytes[at] = static_cast<std::byte>(value);
  return status_of(bytes);
}

TEST(SharedRecord, IsReadAsItWasWrittenAtEveryLength) {
  for (std::size_t n = 0; n < 40; ++n) {
    for (const std::int64_t time : {kNoTime, std::int64_t{1'700'000'000'000'000'007}}) {
      const std::string text(n, 'x');
      const auto bytes = payload_of(text, 0, time);
      SharedRecord record;
      ASSERT_EQ(read_shared_record(bytes, record), SharedStatus::record);
      EXPECT_EQ(record.slice, text);
      EXPECT_EQ(record.sender_time_ns, time);
      EXPECT_EQ(record.number, 4711U);
      EXPECT_EQ(record.priority.value, 14);
    }
  }
}

TEST(SharedRecord, HasStructuredDataWhereItSaysSo) {
  const std::string_view slice = R"([a@1 k="v"] bye)";
  SharedRecord record;
  const auto bytes = payload_of(slice, 12);
  ASSERT_EQ(read_shared_record(bytes, record), SharedStatus::record);
  EXPECT_EQ(record.slice.substr(record.message_start), "bye");
  EXPECT_EQ(status_of(payload_of(slice, 11)), SharedStatus::malformed);
  EXPECT_EQ(status_of(payload_of(slice, 400)), SharedStatus::malformed);
  EXPECT_EQ(status_of(payload_of("no data", 3)), SharedStatus::malformed);
  EXPECT_EQ(status_of(payload_of(R"([a@1 k="v"])", 11)), SharedStatus::record) << "without a message";
}

TEST(SharedRecord, APriorityThatIsNoneCostsThatRecordAlone) {
  SharedRecord record;
  EXPECT_EQ(read_shared_record(payload_of("x", 0, kNoTime, 192), record), SharedStatus::malformed);
  EXPECT_EQ(record.number, 4711U);
  EXPECT_EQ(status_of(payload_of("x", 0, kNoTime, 191)), SharedStatus::record);
}

TEST(SharedRecord, LengthsAndFlagsThatCannotBeAreBroken) {
  EXPECT_EQ(status_of({}), SharedStatus::broken);
  EXPECT_EQ(status_of(std::vector<std::byte>(8)), SharedStatus::broken);
  EXPECT_EQ(status_of(std::vector<std::byte>(17)), SharedStatus::broken);
  EXPECT_EQ(status_of(std::vector<std::byte>(16)), SharedStatus::record) << "an empty one";
  const auto good = payload_of("12345");
  EXPECT_EQ(with(good, 13, 2), SharedStatus::broken) << "a flag";
  EXPECT_EQ(with(good, 14, 8), SharedStatus::broken) << "padding of a whole word";
  EXPECT_EQ(with(good, 15, 1), SharedStatus::broken) << "what must be zero";
  EXPECT_EQ(with(payload_of(""), 14, 1), SharedStatus::broken) << "padding before the slice";
  EXPECT_EQ(with(payload_of(""), 13, 1), SharedStatus::broken) << "a time that is not there";
}

TEST(SharedRecord, TheNumberIsReadFromTheBeginningAlone) {
  const auto bytes = payload_of("12345");
  EXPECT_EQ(read_shared_number(std::span(bytes).first(8)), 4711U);
  EXPECT_EQ(read_shared_number(std::span(bytes).first(7)), 0U);
}

}  // namespace
}  // namespace fastlogd::wire
