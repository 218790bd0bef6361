#include "segment/segment_writer.hpp"

#include <random>

#include <gtest/gtest.h>

#include "segment/segment_cursor.hpp"
#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::TempDirectory;

/// Every frame of the newest segment, as the format describes them.
std::vector<FrameHeader> walk(const LogBuilder& log, std::vector<std::uint64_t>* offsets = nullptr) {
  auto cursor = SegmentCursor::open(posix_file_system(), log.directory(), log.next_index - 1, Access::pread);
  EXPECT_TRUE(cursor.has_value());
  std::vector<FrameHeader> frames;
  FrameView frame;
  while (cursor->next(log.writer.offset(), frame) == FrameStatus::valid) {
    frames.push_back(frame.header);
    if (offsets != nullptr) offsets->push_back(frame.offset);
  }
  EXPECT_EQ(skip_block_rest(cursor->offset()), skip_block_rest(log.writer.offset()));
  return frames;
}

void expect_sound(const std::string& directory) {
  const auto report = verify_directory(directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings) ADD_FAILURE() << finding.offset << ": " << finding.text;
}

TEST(SegmentWriter, BeginsEveryBlockWithACheckpointAndCrossesNone) {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    SCOPED_TRACE(seed);
    const TempDirectory directory;
    LogBuilder log(directory.path(), 4 * limits::kMiB);
    std::mt19937 random(seed);
    log.begin();
    const std::size_t largest = seed == 1 ? 200 : limits::kRecordBytesMax;
    while (log.add(std::string(random() % largest, 'r'))) continue;
    log.seal();
    std::vector<std::uint64_t> offsets;
    const auto frames = walk(log, &offsets);
    std::uint64_t block = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ASSERT_LE(offsets[i] % kBlockBytes + padded(frames[i].length()), kBlockBytes) << "at " << offsets[i];
      if (offsets[i] / kBlockBytes == block) continue;
      block = offsets[i] / kBlockBytes;
      ASSERT_EQ(offsets[i] % kBlockBytes, 0U);
      ASSERT_EQ(frames[i].type, FrameType::checkpoint);
    }
    EXPECT_EQ(block, 3U);
    EXPECT_EQ(frames.back().type, FrameType::seal);
    expect_sound(directory.path());
  }
}

TEST(SegmentWriter, LeavesNoFewerThanAHeaderBeforeABlockWithoutAPad) {
  // Every possible distance to the end of the block: 0, 8, 16, 24 need no PAD, 32 and more have one.
  for (std::uint64_t left = 0; left <= 64; left += 8) {
    SCOPED_TRACE(left);
    const TempDirectory directory;
    LogBuilder log(directory.path(), 2 * limits::kMiB);
    log.begin();
    ASSERT_TRUE(log.add(std::string(limits::kRecordBytesMax, 'a')));
    const std::uint64_t room = kBlockBytes - log.writer.offset() - kFrameHeaderBytes - left;
    ASSERT_TRUE(log.add(std::string(room, 'b')));
    ASSERT_EQ(log.writer.offset(), kBlockBytes - left);
    ASSERT_TRUE(log.add(std::string(100, 'c')));
    const auto frames = walk(log);
    const bool padded_out = frames[4].type == FrameType::pad;
    EXPECT_EQ(padded_out, left >= kFrameHeaderBytes);
    EXPECT_EQ(frames[padded_out ? 5 : 4].type, FrameType::checkpoint);
    log.seal();
    expect_sound(directory.path());
  }
}

TEST(SegmentWriter, AlwaysHasRoomForAGapAndASealInAFullSegment) {
  for (const std::uint64_t megabytes : {1U, 2U, 4U}) {
    for (std::size_t step = 0; step < 24; ++step) {
      const TempDirectory directory;
      LogBuilder log(directory.path(), megabytes * limits::kMiB);
      log.begin();
      log.fill(100'000);
      log.fill(900 + step * 8);
      log.fill(0);
      ASSERT_FALSE(log.writer.append_source({}).has_value());
      ASSERT_TRUE(log.writer.append_gap({.reason = ingress::LossReason::ring_full, .count = 3}));
      log.seal();
      ASSERT_LE(log.writer.offset(), frames_end(megabytes * limits::kMiB));
      expect_sound(directory.path());
    }
  }
}

TEST(SegmentWriter, TakesTheLargestRecordIntoTheSmallestSegment) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), limits::kSegmentBytesMin);
  log.begin();
  const std::string procid(limits::kProcidBytesMax, 'p');
  const std::string msgid(limits::kMsgidBytesMax, 'm');
  const std::string slice(limits::kRecordBytesMax, 'z');
  const NewRecord record{
      .sequence = Sequence{log.next_sequence},
      .receive_time_ns = 1,
      .source = log.source,
      .priority = Priority{191},
      .flags = RecordFlags{RecordFlags::kTruncated},
      .extension = {.message_start = 17, .sender_time_ns = -5, .procid = procid, .msgid = msgid},
      .slice = slice};
  ASSERT_TRUE(log.writer.append(record));
  log.seal();
  expect_sound(directory.path());
}

TEST(SegmentWriter, KeepsEveryFieldOfARecord) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  const std::string slice("[id a=\"1\"] hello\0world", 22);
  const NewRecord record{
      .sequence = Sequence{1},
      .receive_time_ns = test::kFirstTime + 99,
      .source = log.source,
      .priority = Priority{165},
      .flags = RecordFlags{static_cast<std::uint8_t>(RecordFormat::rfc5424)},
      .extension = {.message_start = 11, .sender_time_ns = -7, .procid = "123", .msgid = "ID47"},
      .slice = slice};
  ASSERT_TRUE(log.writer.append(record));
  auto reader = LogReader::open(directory.path(), Access::pread);
  ASSERT_TRUE(reader.has_value());
  LogItem item;
  ASSERT_EQ(reader->next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 1U);
  EXPECT_EQ(item.record.receive_time_ns, test::kFirstTime + 99);
  EXPECT_EQ(item.record.sender_time_ns, -7);
  EXPECT_EQ(item.record.priority.value, 165);
  EXPECT_EQ(item.record.flags.format(), RecordFormat::rfc5424);
  EXPECT_EQ(item.record.slice, slice);
  EXPECT_EQ(item.record.message(), slice.substr(11));
  EXPECT_EQ(item.record.procid, "123");
  EXPECT_EQ(item.record.msgid, "ID47");
  EXPECT_EQ(item.record.source.host, "host");
  EXPECT_EQ(item.record.source.identifier, "app");
}

TEST(SegmentWriter, NeverLetsReceiveTimesGoBackWithinASegment) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  for (const std::int64_t time : {100, 50, 200, -1}) {
    const NewRecord record{.sequence = Sequence{log.next_sequence++},
                           .receive_time_ns = test::kFirstTime + time,
                           .source = log.source,
                           .priority = {},
                           .flags = {},
                           .extension = {},
                           .slice = "x"};
    ASSERT_TRUE(log.writer.append(record));
  }
  std::vector<std::int64_t> times;
  for (const FrameHeader& frame : walk(log)) {
    if (frame.type == FrameType::data) times.push_back(frame.time_ns - test::kFirstTime);
  }
  EXPECT_EQ(times, (std::vector<std::int64_t>{100, 100, 200, 200}));
}

TEST(SegmentWriter, WritesZerosWhereNothingWasPublished) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  log.add_records(10, "odd sized");
  const std::uint64_t end = log.writer.offset();
  const auto bytes = test::read_file(log.current_path());
  EXPECT_TRUE(all_zero(std::span(bytes).subspan(end)));
}

}  // namespace
}  // namespace fastlogd::segment
