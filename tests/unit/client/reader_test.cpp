#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "unit/client/reader_fixture.hpp"

namespace fastlogd::client {
namespace {

using test::LogBuilder;
using test::records;

TEST_F(LibraryReader, GivesViewsIntoTheMappedFile) {
  LogBuilder log(path());
  log.begin();
  log.add_records(3);
  log.seal();
  const auto reader = open(path());
  const auto read = poll(reader.get());
  ASSERT_EQ(read.size(), 3U);
  const auto bytes = test::read_file(log.path(1));
  for (const fastlog_record& record : read) {
    EXPECT_TRUE(is_mapped(log.path(1), record.frame));
    EXPECT_EQ(record.slice, reinterpret_cast<const char*>(record.frame + 1));
    EXPECT_EQ(record.slice_bytes, record.frame->length - sizeof *record.frame);
    EXPECT_EQ(
        std::memcmp(record.frame, bytes.data() + LogPosition{record.position}.offset(), record.frame->length),
        0);
    EXPECT_EQ(record.frame->sequence, record.sequence);
    EXPECT_EQ(record.frame->receive_time_ns, record.receive_time_ns);
    EXPECT_EQ(record.frame->type, 1);
    EXPECT_EQ(record.priority, 14);
    EXPECT_EQ(std::string_view(record.identifier, record.identifier_bytes), "app");
    EXPECT_EQ(std::string_view(record.host, record.host_bytes), "host");
    EXPECT_EQ(record.sender_time_ns, FASTLOG_NO_TIME);
    EXPECT_EQ(record.uid, FASTLOG_UNKNOWN_ID);
  }
  EXPECT_EQ(message_of(read[1]), "record 2");
  EXPECT_EQ(read[0].next, read[1].position);
  EXPECT_EQ(fastlog_reader_position(reader.get()), read[2].next);
}

TEST_F(LibraryReader, OnePollMayCrossARollAndItsViewsAreAllValid) {
  LogBuilder log(path());
  for (int segment = 0; segment < 3; ++segment) {
    log.begin();
    log.add_records(2);
    log.seal();
  }
  const auto reader = open(path());
  const auto read = poll(reader.get());
  std::vector<std::string> texts;
  for (const fastlog_record& record : read)
    texts.push_back(text_of(record) + std::string(record.identifier, 3));
  EXPECT_EQ(texts, (std::vector<std::string>{"record 1app", "record 2app", "record 3app", "record 4app",
                                             "record 5app", "record 6app"}));
  EXPECT_TRUE(is_mapped(log.path(1)) && is_mapped(log.path(2)) && is_mapped(log.path(3)));
  EXPECT_TRUE(poll(reader.get()).empty());
  EXPECT_FALSE(is_mapped(log.path(1)) || is_mapped(log.path(2)));
}

TEST_F(LibraryReader, WhatIsPinnedStaysValidAcrossRollsAndRetention) {
  LogBuilder log(path());
  for (int segment = 0; segment < 3; ++segment) {
    log.begin();
    log.add_records(2, "segment " + std::to_string(segment));
    log.seal();
  }
  const auto reader = open(path());
  const auto first = poll(reader.get(), 1);
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(fastlog_reader_pin(reader.get(), first[0].position), FASTLOG_OK);
  ASSERT_EQ(fastlog_reader_pin(reader.get(), first[0].position), FASTLOG_OK);
  std::filesystem::remove(log.path(1));
  EXPECT_EQ(read_all(reader.get(), 2).size(), 5U);
  EXPECT_EQ(message_of(first[0]), "segment 0 1");
  EXPECT_EQ(std::string_view(first[0].identifier, first[0].identifier_bytes), "app");
  EXPECT_EQ(first[0].frame->sequence, 1U);
  EXPECT_EQ(fastlog_reader_unpin(reader.get(), first[0].position), FASTLOG_OK);
  EXPECT_TRUE(is_mapped(log.path(1), first[0].frame));
  EXPECT_EQ(fastlog_reader_unpin(reader.get(), first[0].position), FASTLOG_OK);
  EXPECT_FALSE(is_mapped(log.path(1)));
  EXPECT_EQ(fastlog_reader_unpin(reader.get(), first[0].position), FASTLOG_ERROR_ARGUMENT);
  EXPECT_EQ(fastlog_reader_pin(reader.get(), first[0].position), FASTLOG_ERROR_ARGUMENT);
}

/// What the header says of a view's life is not a recommendation.
TEST_F(LibraryReader, AViewThatIsOutOfDateIsNoMemoryAnyMore) {
  LogBuilder log(path());
  for (int segment = 0; segment < 2; ++segment) {
    log.begin();
    log.add_records(1);
    log.seal();
  }
  const auto reader = open(path());
  const auto first = poll(reader.get(), 1);
  ASSERT_EQ(read_all(reader.get(), 1), records(2, 2));
  EXPECT_DEATH(
      {
        const volatile char* byte = first[0].message;
        (void)*byte;
      },
      "");
}

TEST_F(LibraryReader, ClosingEndsPinsToo) {
  LogBuilder log(path());
  log.begin();
  log.add_records(1);
  log.seal();
  log.begin();  // the builder itself has only this one mapped
  auto reader = open(path());
  const auto read = poll(reader.get());
  ASSERT_EQ(fastlog_reader_pin(reader.get(), read.at(0).position), FASTLOG_OK);
  reader.reset();
  EXPECT_FALSE(is_mapped(log.path(1)));
}

TEST_F(LibraryReader, BeginsWhereItIsAsked) {
  LogBuilder log(path());
  log.begin();
  log.add_records(5);
  log.seal();
  log.begin();
  log.add_records(5);
  auto options = from(FASTLOG_FROM_SEQUENCE);
  options.sequence = 4;
  EXPECT_EQ(read_all(open(path(), options).get()), records(4, 10));
  options = from(FASTLOG_FROM_TIME);
  options.time_ns = test::kFirstTime + 7;
  EXPECT_EQ(read_all(open(path(), options).get()), records(7, 10));
  EXPECT_EQ(read_all(open(path(), from(FASTLOG_FROM_POSITION)).get()), records(1, 10));
  const auto end = open(path(), from(FASTLOG_FROM_END));
  EXPECT_EQ(read_all(end.get()), records(1, 0));
  log.add_records(1);
  EXPECT_EQ(read_all(end.get()), records(11, 11));
}

TEST_F(LibraryReader, APositionIsWhereAnotherReaderGoesOn) {
  LogBuilder log(path());
  log.begin();
  log.add_records(4);
  log.seal();
  log.begin();
  log.add_records(4);
  auto options = from(FASTLOG_FROM_POSITION);
  for (std::uint64_t sequence = 1; sequence <= 8; ++sequence) {
    const auto reader = open(path(), options);
    const auto read = poll(reader.get(), 1);
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].sequence, sequence);
    options.position = fastlog_reader_position(reader.get());
  }
  EXPECT_TRUE(poll(open(path(), options).get()).empty());
}

TEST_F(LibraryReader, ReadsTheSameByCopying) {
  LogBuilder log(path());
  log.begin();
  log.add_records(3);
  log.fill(300'000);
  log.seal();
  log.begin();
  log.add_records(2);
  const auto copying = open(path(), from(FASTLOG_FROM_OLDEST, FASTLOG_READER_COPY));
  const auto read = poll(copying.get(), 2);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].frame->sequence, 1U);
  EXPECT_EQ(message_of(read[0]) + message_of(read[1]), "record 1record 2");
  EXPECT_EQ(std::string_view(read[1].identifier, read[1].identifier_bytes), "app");
  EXPECT_FALSE(is_mapped(log.path(1)));
  EXPECT_EQ(fastlog_reader_pin(copying.get(), read[0].position), FASTLOG_ERROR_UNSUPPORTED);
  auto options = from(FASTLOG_FROM_SEQUENCE);
  options.sequence = 3;
  EXPECT_EQ(read_all(copying.get(), 100), read_all(open(path(), options).get(), 100));
}

TEST_F(LibraryReader, RefusesWhatItDoesNotUnderstand) {
  fastlog_reader* reader = nullptr;
  EXPECT_EQ(fastlog_reader_open((path() + "/none").c_str(), nullptr, &reader), FASTLOG_ERROR_NOT_FOUND);
  EXPECT_EQ(reader, nullptr);
  EXPECT_NE(std::string(fastlog_reader_error(nullptr)).find("/none"), std::string::npos);
  EXPECT_EQ(fastlog_reader_open(path().c_str(), nullptr, &reader), FASTLOG_ERROR_NOT_FOUND);
  LogBuilder log(path());
  log.begin();
  auto options = from(FASTLOG_FROM_OLDEST);
  options.abi = FASTLOG_ABI_VERSION + 1;
  EXPECT_EQ(fastlog_reader_open(path().c_str(), &options, &reader), FASTLOG_ERROR_ARGUMENT);
  options = from(FASTLOG_FROM_OLDEST, 2);
  EXPECT_EQ(fastlog_reader_open(path().c_str(), &options, &reader), FASTLOG_ERROR_ARGUMENT);
  options = from(FASTLOG_FROM_POSITION + 1);
  EXPECT_EQ(fastlog_reader_open(path().c_str(), &options, &reader), FASTLOG_ERROR_ARGUMENT);
  options = from(FASTLOG_FROM_POSITION);
  options.position = LogPosition::of(1, segment::kHeaderBytes + 8).value;
  EXPECT_EQ(fastlog_reader_open(path().c_str(), &options, &reader), FASTLOG_ERROR_BAD_DATA);
  const auto opened = open(path());
  EXPECT_EQ(fastlog_reader_poll(opened.get(), nullptr, 1, 0), FASTLOG_ERROR_ARGUMENT);
  EXPECT_EQ(fastlog_reader_poll(nullptr, nullptr, 1, 0), FASTLOG_ERROR_ARGUMENT);
  fastlog_reader_close(nullptr);
}

}  // namespace
}  // namespace fastlogd::client
