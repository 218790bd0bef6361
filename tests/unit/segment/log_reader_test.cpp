// The reader on a directory without a daemon; behind one: log_reader_live_test.cpp.
#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::read_to_end;
using test::records;

INSTANTIATE_TEST_SUITE_P(, LogReaderBy, ::testing::Values(Access::mapped, Access::pread), access_name);

TEST_P(LogReaderBy, RefusesADirectoryWithoutALog) {
  EXPECT_FALSE(LogReader::open(directory_.path() + "/nowhere", GetParam()).has_value());
  EXPECT_FALSE(LogReader::open(directory_.path(), GetParam()).has_value());
}

TEST_P(LogReaderBy, ReadsAcrossSegmentsToTheFirstUnpublishedFrame) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(50);
  log.seal();
  log.begin();
  log.add_records(50);
  log.seal_frame();  // no trailer: the housekeeper never came
  log.begin();
  log.add_records(50);
  log.prepare();  // ready ahead, never used
  auto reader = open(directory_.path());
  EXPECT_FALSE(reader.live());
  EXPECT_EQ(read_to_end(reader), records(1, 150));
}

/// By somebody else: the daemon truncates nothing. Where a mapping would be SIGBUS the kernel is asked first.
TEST_P(LogReaderBy, AFileThatIsCutShortWhileItIsReadIsAGapFromThere) {
  LogBuilder log(directory_.path());
  log.begin();
  log.fill(1000);
  log.seal();
  log.begin();
  log.add_records(1);
  auto reader = open(directory_.path());
  LogItem item;
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  std::filesystem::permissions(log.path(1), std::filesystem::perms::owner_all);
  std::filesystem::resize_file(log.path(1), limits::kMiB / 2);
  std::uint64_t expected = 2;
  while (reader.next(item) == ReadStatus::item && item.kind == LogItem::Kind::record) {
    EXPECT_EQ(item.record.sequence.value, expected++);
  }
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  EXPECT_EQ(item.gap.reason, ingress::LossReason::damaged);
  EXPECT_EQ(item.gap.first.value, expected);
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, item.gap.last.value + 1);
}

TEST_P(LogReaderBy, SeesWhatIsPublishedBehindItsBackWithoutADaemon) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(3);
  auto reader = open(directory_.path());
  EXPECT_EQ(read_to_end(reader), records(1, 3));
  log.add_records(3);
  EXPECT_EQ(read_to_end(reader), records(4, 6));
  log.seal();
  log.begin();
  log.add_records(3);
  EXPECT_EQ(read_to_end(reader), records(7, 9));
}

TEST_P(LogReaderBy, StopsAtATornFrame) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t at = log.writer.offset();
  log.add_records(5);
  test::flip_bit(log.current_path(), at + 34, 0);
  auto reader = open(directory_.path());
  EXPECT_EQ(read_to_end(reader), records(1, 5)) << "frames behind an invalid one are never served";
}

TEST_P(LogReaderBy, ReportsTheDamagedMiddleOfASealedSegmentAndGoesOnAtTheNextBlock) {
  LogBuilder log(directory_.path(), 4 * limits::kMiB);
  log.begin();
  log.fill(1000);
  log.seal();
  const std::uint64_t last = log.next_sequence - 1;
  for (const bool zeroed : {false, true}) {  // a lost page reads as zeros: the same damage
    if (zeroed) {
      test::poke(log.path(1), kBlockBytes + 4096, std::vector<std::byte>(4096));
    } else {
      test::flip_bit(log.path(1), kBlockBytes + 4096 + 8, 1);
    }
    auto reader = open(directory_.path());
    LogItem item;
    std::uint64_t due = 1;
    std::uint64_t missing = 0;
    while (reader.next(item) == ReadStatus::item) {
      if (item.kind == LogItem::Kind::gap) {
        EXPECT_EQ(item.gap.reason, ingress::LossReason::damaged);
        EXPECT_EQ(item.gap.first.value, due);
        missing += item.gap.count;
        due = item.gap.last.value + 1;
      } else {
        ASSERT_EQ(item.record.sequence.value, due++);
        ASSERT_EQ(item.record.source.identifier, "app");
      }
    }
    EXPECT_EQ(due, last + 1) << "zeroed: " << zeroed;
    EXPECT_GT(missing, 900U);
    EXPECT_LT(missing, 1024U) << "only the rest of one block is lost";
  }
}

TEST_P(LogReaderBy, ReportsDamageUpToTheEndOfTheLastSegment) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(5);
  const std::uint64_t at = log.writer.offset();
  log.add_records(5);
  log.seal();
  for (const std::uint64_t damage : {at + 34, at}) {  // the payload; the length, which then leads too far
    test::flip_bit(log.path(1), damage, 6);
    auto reader = open(directory_.path());
    EXPECT_EQ(read_to_end(reader), joined(records(1, 5), {"<6-10>"}));
    LogItem item;
    EXPECT_EQ(reader.next(item), ReadStatus::caught_up) << "a gap is told once";
  }
}

TEST_P(LogReaderBy, ReportsAMissingSegment) {
  LogBuilder log(directory_.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  ASSERT_EQ(::unlink(log.path(2).c_str()), 0);
  auto reader = open(directory_.path());
  EXPECT_EQ(read_to_end(reader), joined(joined(records(1, 10), {"<11-20>"}), records(21, 30)));
}

TEST_P(LogReaderBy, ReportsASegmentWithADamagedHeaderAsDamaged) {
  LogBuilder log(directory_.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  test::flip_bit(log.path(2), 20, 0);
  auto reader = open(directory_.path());
  LogItem item;
  for (int i = 0; i < 10; ++i) ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  EXPECT_EQ(item.gap.reason, ingress::LossReason::damaged);
  EXPECT_EQ(read_to_end(reader), records(21, 30));
}

TEST_P(LogReaderBy, FailsInsteadOfSkippingWhenItMayNotOpenAFile) {
  class NoMoreDescriptors : public test::PassingFileSystem {
    Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
      if (path.ends_with("2.flog") && refuse)
        return Error{std::error_code(EMFILE, std::system_category()), path};
      return test::PassingFileSystem::open(path, flags, mode);
    }

   public:
    bool refuse = true;
  } files;
  LogBuilder log(directory_.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  auto reader = LogReader::open(directory_.path(), GetParam(), files);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(read_to_end(*reader), records(1, 10));
  LogItem item;
  EXPECT_EQ(reader->next(item), ReadStatus::failed);
  EXPECT_EQ(reader->error().code, std::errc::too_many_files_open);
  files.refuse = false;
  EXPECT_EQ(read_to_end(*reader), records(11, 30)) << "it stayed where it was";
}

// --- jumping ---

TEST_P(LogReaderBy, SeeksEverySequenceAndTime) {
  LogBuilder log(directory_.path(), 2 * limits::kMiB);
  for (int i = 0; i < 4; ++i) {
    log.begin();
    for (int n = 0; n < 30 + i; ++n)
      ASSERT_TRUE(log.add(std::string(50'000, 'x') + std::to_string(log.next_sequence)));
    if (i < 3) log.seal();
  }
  const std::uint64_t last = log.next_sequence - 1;
  auto reader = open(directory_.path());
  LogItem item;
  for (std::uint64_t sequence = 1; sequence <= last; ++sequence) {
    ASSERT_TRUE(reader.seek_sequence(Sequence{sequence}));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
    ASSERT_EQ(item.record.source.identifier, "app") << "its source was defined before";
    const LogPosition position = item.position;
    ASSERT_TRUE(reader.seek_time(test::kFirstTime + static_cast<std::int64_t>(sequence)));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
    ASSERT_TRUE(reader.seek(position));
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence);
    ASSERT_EQ(item.record.source.identifier, "app");
  }
  ASSERT_TRUE(reader.seek_sequence(Sequence{last + 1}));
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  ASSERT_TRUE(reader.seek_sequence(Sequence{0}));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 1U);
}

// The CHECKPOINT behind it has the time of the record before it.
TEST_P(LogReaderBy, SeeksByTimeToAGapThatEndsTheBlockBefore) {
  LogBuilder log(directory_.path(), 4 * limits::kMiB);
  log.begin();
  while (log.writer.offset() < kBlockBytes - 120'000) ASSERT_TRUE(log.add(std::string(50'000, 'x')));
  constexpr std::uint64_t kGapBytes = kFrameHeaderBytes + sizeof(GapPayload);
  const std::uint64_t left = next_block(log.writer.offset()) - log.writer.offset();
  ASSERT_TRUE(log.add(std::string(left - kGapBytes - kFrameHeaderBytes, 'x')));
  const auto asked = static_cast<std::int64_t>(test::kFirstTime + log.next_sequence);
  ASSERT_TRUE(log.writer.append_gap({.reason = ingress::LossReason::ring_full, .count = 3, .to_ns = asked}));
  ASSERT_EQ(log.writer.offset() % kBlockBytes, 0U);
  log.add_records(10);
  auto reader = open(directory_.path());
  LogItem item;
  ASSERT_TRUE(reader.seek_time(asked));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  EXPECT_EQ(item.gap.count, 3U);
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.receive_time_ns, asked);
}

TEST_P(LogReaderBy, SeeksByKeyPastSegmentsItCannotUse) {
  LogBuilder log(directory_.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  test::flip_bit(log.path(1), 20, 0);
  auto reader = open(directory_.path());
  LogItem item;
  ASSERT_TRUE(reader.seek_sequence(Sequence{15}));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 15U);
}

TEST_P(LogReaderBy, ContinuesAtEveryPositionItGaveOut) {
  LogBuilder log(directory_.path(), 2 * limits::kMiB);
  for (int i = 0; i < 2; ++i) {
    log.begin();
    log.fill(30'000);
    log.seal();
  }
  auto reader = open(directory_.path());
  auto other = open(directory_.path());
  LogItem item;
  LogItem again;
  while (reader.next(item) == ReadStatus::item) {
    ASSERT_TRUE(other.seek(item.next));
    if (other.next(again) != ReadStatus::item) break;
    ASSERT_EQ(again.record.sequence.value, item.record.sequence.value + 1);
  }
  EXPECT_EQ(item.record.sequence.value, log.next_sequence - 1);
  EXPECT_FALSE(reader.seek(LogPosition::of(1, 4104)).has_value()) << "in the middle of a frame";
  EXPECT_FALSE(reader.seek(LogPosition::of(1, limits::kGiB)).has_value()) << "behind the file's end";
}

TEST_P(LogReaderBy, WalksBackwardsThroughEverythingItReadsForwards) {
  LogBuilder log(directory_.path(), 2 * limits::kMiB);
  log.begin();
  log.seal();  // a segment without records
  for (int i = 0; i < 3; ++i) {
    log.begin();
    for (int n = 0; n < 29; ++n) ASSERT_TRUE(log.add(std::string(50'000, 'x')));
    ASSERT_TRUE(log.writer.append_gap({.reason = ingress::LossReason::client, .count = 1}));
    if (i < 2) log.seal();
  }
  auto reader = open(directory_.path());
  LogItem item;
  std::vector<LogPosition> forwards;
  while (reader.next(item) == ReadStatus::item) forwards.push_back(item.position);
  std::vector<LogPosition> backwards;
  while (reader.previous(item) == ReadStatus::item) backwards.push_back(item.position);
  EXPECT_EQ(forwards, std::vector<LogPosition>(backwards.rbegin(), backwards.rend()));
  EXPECT_EQ(forwards.size(), 90U);
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.position, forwards.front()) << "what previous() gave is what next() gives again";
}

TEST_P(LogReaderBy, TurnsRoundAtAnyRecord) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(20);
  log.seal();
  log.begin();
  log.add_records(20);
  auto reader = open(directory_.path());
  LogItem item;
  for (std::uint64_t sequence = 2; sequence <= 40; ++sequence) {
    ASSERT_TRUE(reader.seek_sequence(Sequence{sequence}));
    ASSERT_EQ(reader.previous(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence - 1);
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.record.sequence.value, sequence - 1);
    ASSERT_EQ(reader.next(item), ReadStatus::item);
    ASSERT_EQ(item.kind, LogItem::Kind::record);
    ASSERT_EQ(item.record.sequence.value, sequence);
  }
}

TEST_P(LogReaderBy, HasNothingBeforeTheOldestRecord) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(3);
  auto reader = open(directory_.path());
  LogItem item;
  EXPECT_EQ(reader.previous(item), ReadStatus::caught_up) << "a new reader stands at the oldest record";
  ASSERT_TRUE(reader.seek_sequence(Sequence{1}));
  EXPECT_EQ(reader.previous(item), ReadStatus::caught_up);
  reader.seek_end();
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  ASSERT_EQ(reader.previous(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 3U);
  reader.seek_oldest();
  EXPECT_EQ(read_to_end(reader), records(1, 3));
}

TEST_P(LogReaderBy, FindsTheEndBehindDamage) {
  LogBuilder log(directory_.path(), 8 * limits::kMiB);
  log.begin();
  log.fill(10'000);
  log.seal();
  for (std::uint64_t block = 2; block < 7; ++block) test::flip_bit(log.path(1), block * kBlockBytes + 9, 0);
  auto reader = open(directory_.path());
  reader.seek_end();
  LogItem item;
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  ASSERT_EQ(reader.previous(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, log.next_sequence - 1);
}

TEST_P(LogReaderBy, ManagesAnEmptyLog) {
  LogBuilder log(directory_.path());
  log.begin({}, false);
  auto reader = open(directory_.path());
  LogItem item;
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  EXPECT_EQ(reader.previous(item), ReadStatus::caught_up);
  reader.seek_end();
  EXPECT_EQ(reader.previous(item), ReadStatus::caught_up);
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  ASSERT_TRUE(reader.seek_time(0));
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  ASSERT_TRUE(reader.seek_sequence(Sequence{1}));
  EXPECT_EQ(reader.next(item), ReadStatus::caught_up);
  log.source = log.writer.append_source({.identifier = "late"}).value();
  log.add_records(1);
  EXPECT_EQ(read_to_end(reader), records(1, 1));
}

}  // namespace
}  // namespace fastlogd::segment
