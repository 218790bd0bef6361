// INDEX frames: where they stand, what they say, and that nobody believes a wrong one.
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"
#include "segment/recovery.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/verify.hpp"

namespace fastlogd::segment {
namespace {

using test::kFirstTime;
using test::LogBuilder;
using test::TempDirectory;

struct Frames {
  std::vector<IndexEntry> records;
  std::vector<std::pair<std::uint64_t, DecodedIndex>> indices;
};

Frames walk(const std::string& directory, std::uint64_t index) {
  auto cursor = SegmentCursor::open(posix_file_system(), directory, index, Access::pread).value();
  Frames found;
  FrameView frame;
  while (cursor.next(cursor.end_offset(), frame) == FrameStatus::valid) {
    if (frame.header.type == FrameType::data)
      found.records.push_back({frame.header.sequence, frame.header.time_ns, frame.offset});
    if (frame.header.type == FrameType::index)
      found.indices.emplace_back(frame.offset, decode_index(frame.payload, frame.offset).value());
  }
  return found;
}

std::vector<std::string> damage_of(const std::string& directory) {
  std::vector<std::string> texts;
  const auto report = verify_directory(directory, {});
  for (const auto& finding : report->findings) {
    if (finding.kind == Finding::Kind::damage) texts.push_back(finding.text);
  }
  return texts;
}

/// A segment of 16 MiB with small and large records and sources that come late.
class IndexedLog : public ::testing::Test {
 protected:
  void SetUp() override {
    std::mt19937 random(7);
    log_.begin();
    std::size_t bytes = 0;
    do {
      if (random() % 400 == 0) {
        const auto source =
            log_.writer.append_source({.host = "host", .identifier = std::to_string(random())});
        if (source) log_.source = *source;
      }
      bytes = random() % 50 == 0 ? random() % 300'000 : 200 + random() % 2000;
    } while (log_.add(std::string(bytes, 'x')));
    log_.seal();
    frames_ = walk(directory_.path(), 1);
  }

  /// Every seek finds the very record, and its source is known.
  void expect_every_seek_right(const char* what) {
    auto reader = LogReader::open(directory_.path(), Access::pread).value();
    LogItem item;
    for (std::size_t n = 0; n < frames_.records.size(); n += 7) {
      const IndexEntry& wanted = frames_.records[n];
      ASSERT_TRUE(reader.seek_sequence(Sequence{wanted.sequence}));
      ASSERT_EQ(reader.next(item), ReadStatus::item) << what;
      ASSERT_EQ(item.record.sequence.value, wanted.sequence) << what;
      ASSERT_EQ(item.record.source.host, "host") << what;
      ASSERT_TRUE(reader.seek_time(wanted.time_ns));
      ASSERT_EQ(reader.next(item), ReadStatus::item) << what;
      ASSERT_EQ(item.record.sequence.value, wanted.sequence) << what;
    }
  }

  void forge_entry(std::size_t index, std::size_t entry, const std::function<void(IndexEntry&)>& change) {
    test::forge(log_.path(1), frames_.indices[index].first, [&](FrameHeader&, std::span<std::byte> payload) {
      IndexEntry fields;
      std::byte* at = payload.data() + sizeof(IndexPayload) + entry * sizeof fields;
      std::memcpy(&fields, at, sizeof fields);
      change(fields);
      std::memcpy(at, &fields, sizeof fields);
    });
  }

  TempDirectory directory_;
  LogBuilder log_{directory_.path(), 16 * limits::kMiB};
  Frames frames_;
};

TEST_F(IndexedLog, HasOneBehindEveryFourthCheckpointAndOneBeforeTheSeal) {
  ASSERT_EQ(frames_.indices.size(), 4U);
  std::uint64_t previous = 0;
  for (std::size_t n = 0; n < 4; ++n) {
    const auto& [at, index] = frames_.indices[n];
    EXPECT_EQ(index.head.previous_index_offset, previous);
    previous = at;
    if (n == 3) continue;
    EXPECT_EQ(at, (n + 1) * kIndexEveryBytes + kFrameHeaderBytes + sizeof(CheckpointPayload));
  }
  EXPECT_EQ(open_segment(posix_file_system(), directory_.path(), 1)->trailer->last_index_offset, previous);
  EXPECT_TRUE(damage_of(directory_.path()).empty());
}

TEST_F(IndexedLog, HasAnEntryForEveryStepThatARecordBeginsIn) {
  std::vector<IndexEntry> due;
  for (const IndexEntry& record : frames_.records) {
    if (due.empty() || record.offset / kIndexStepBytes != due.back().offset / kIndexStepBytes)
      due.push_back(record);
  }
  std::vector<IndexEntry> told;
  for (const auto& [at, index] : frames_.indices)
    told.insert(told.end(), index.entries.begin(), index.entries.end());
  EXPECT_EQ(told, due);
}

TEST_F(IndexedLog, LeadsToEveryRecord) {
  expect_every_seek_right("as written");
}

TEST_F(IndexedLog, IsNotBelievedWhereItContradictsTheFrames) {
  struct Lie {
    const char* what;
    std::function<void(IndexEntry&)> tell;
  };
  for (const Lie& lie : {Lie{"another number", [](IndexEntry& entry) { entry.sequence += 1; }},
                         Lie{"another time", [](IndexEntry& entry) { entry.time_ns += 1; }},
                         Lie{"no frame's start", [](IndexEntry& entry) { entry.offset += 8; }},
                         Lie{"far away", [](IndexEntry& entry) { entry.offset = ~std::uint64_t{7}; }},
                         Lie{"before the file's frames", [](IndexEntry& entry) { entry.offset = 8; }}}) {
    const auto before = test::read_file(log_.path(1));
    forge_entry(1, 10, lie.tell);
    EXPECT_EQ(damage_of(directory_.path()).size(), 1U) << lie.what;
    expect_every_seek_right(lie.what);
    test::poke(log_.path(1), 0, before);
  }
}

TEST_F(IndexedLog, IsNotBelievedWithAWrongChain) {
  const auto before = test::read_file(log_.path(1));
  for (const std::size_t word : {0U, 8U}) {  // the INDEX before; the last SOURCE
    test::forge(log_.path(1), frames_.indices[2].first, [&](FrameHeader&, std::span<std::byte> payload) {
      const std::uint64_t wrong = 4096;
      std::memcpy(payload.data() + word, &wrong, sizeof wrong);
    });
    EXPECT_EQ(damage_of(directory_.path()).size(), 1U) << word;
    test::poke(log_.path(1), 0, before);
  }
}

TEST_F(IndexedLog, IsNotMissedWhereThereIsNone) {
  // As version 1.0 wrote it: other frames in their places, and a trailer that knows of none.
  for (const auto& [at, index] : frames_.indices) {
    test::forge(log_.path(1), at, [](FrameHeader& header, std::span<std::byte>) {
      header.type = FrameType{kSkippableTypeBit | 1};
    });
  }
  auto opened = open_segment(posix_file_system(), directory_.path(), 1).value();
  opened.trailer->last_index_offset = opened.trailer->ordered_since = 0;
  test::poke(log_.path(1), frames_end(16 * limits::kMiB), encode(*opened.trailer));
  EXPECT_TRUE(damage_of(directory_.path()).empty());
  expect_every_seek_right("without one");
}

TEST_F(IndexedLog, WithAFlippedBitIsDamageAndCostsNoSeekItsWay) {
  test::flip_bit(log_.path(1), frames_.indices[0].first + 40, 3);
  EXPECT_EQ(damage_of(directory_.path()).size(), 2U) << "the frame, and the records that the trailer counts";
  auto reader = LogReader::open(directory_.path(), Access::pread).value();
  LogItem item;
  for (const IndexEntry& wanted : frames_.records) {
    if (wanted.offset >= kIndexEveryBytes && wanted.offset < kIndexEveryBytes + kBlockBytes) continue;
    if (wanted.sequence % 5 != 0) continue;
    ASSERT_TRUE(reader.seek_sequence(Sequence{wanted.sequence}));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, wanted.sequence);
  }
}

TEST(Index, IsWrittenByRecoveryIntoTheTrailerOnly) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), 8 * limits::kMiB);
  log.begin();
  while (log.writer.offset() < 5 * limits::kMiB) ASSERT_TRUE(log.add(std::string(1000, 'x')));
  const auto report = recover(posix_file_system(), directory.path(), log.log_uuid);
  ASSERT_TRUE(report.has_value());
  const auto trailer = open_segment(posix_file_system(), directory.path(), 1)->trailer.value();
  EXPECT_EQ(trailer.last_index_offset, kIndexEveryBytes + kFrameHeaderBytes + sizeof(CheckpointPayload));
  EXPECT_TRUE(damage_of(directory.path()).empty());
  auto reader = LogReader::open(directory.path(), Access::mapped).value();
  LogItem item;
  for (std::uint64_t sequence = 1; sequence < log.next_sequence; sequence += 11) {
    ASSERT_TRUE(reader.seek_sequence(Sequence{sequence}));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
  }
}

TEST(Index, RefusesPayloadsThatContradictThemselves) {
  std::vector<std::uint64_t> words{0, 0, 5, 100, 8192, 6, 101, 8256};
  const auto decode = [&](std::size_t bytes) {
    return decode_index(std::as_bytes(std::span(words)).first(bytes), 16384).has_value();
  };
  EXPECT_TRUE(decode(64));
  for (std::size_t bytes = 0; bytes < 64; ++bytes) EXPECT_EQ(decode(bytes), bytes == 40) << bytes;
  const auto with = [&](std::size_t word, std::uint64_t value) {
    const std::uint64_t before = std::exchange(words[word], value);
    EXPECT_FALSE(decode(64)) << "word " << word << " " << value;
    words[word] = before;
  };
  with(0, 16384);  // an INDEX before this one that is not before it
  with(5, 5);      // numbers that don't grow
  with(6, 99);     // times that go back
  with(7, 8192);   // offsets that don't grow
  with(7, 16384);  // at the INDEX itself
  with(4, 4088);   // before the frames
  with(4, 8193);   // between frames
}

}  // namespace
}  // namespace fastlogd::segment
