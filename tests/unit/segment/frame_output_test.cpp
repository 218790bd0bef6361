// The one writing interface: every method makes the same bytes, and a failure of any is a value.
#include "segment/frame_output.hpp"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "segment/recovery.hpp"
#include "segment/verify.hpp"
#include "support/faulty_file_system.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::FaultyFileSystem;
using test::Op;
using test::TempDirectory;

/// Grants MAP_SYNC on any file: what a file system on persistent memory does.
class DaxFileSystem : public FaultyFileSystem {
 public:
  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    if ((flags & MAP_SYNC) != 0) flags = MAP_SHARED;
    return FaultyFileSystem::map(fd, offset, bytes, prot, flags);
  }
};

/// Counts, and remembers what was written back and when a fence came.
class CountingPersist : public Persist {
 public:
  struct Call {
    std::uintptr_t from = 0;
    std::size_t bytes = 0;  ///< 0: a fence
  };
  void write_back(std::span<const std::byte> bytes) override {
    calls.push_back({reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()});
  }
  void fence() override { calls.push_back({}); }
  std::vector<Call> calls;
};

struct Written {
  Written(FileSystem& file_system, WriteMethod method, Persist& persist = processor_persist(),
          std::uint64_t bytes = 4 * limits::kMiB)
      : files(file_system), writer(file_system, persist) {
    segment = prepare_segment(files, {.directory = directory.path(),
                                      .log_uuid = random_uuid(),
                                      .index = 1,
                                      .epoch = 1,
                                      .segment_bytes = bytes,
                                      .boot_id = current_boot_id(),
                                      .method = method})
                  .value();
    writer.start(segment, {.first_sequence = 1, .epoch = 1, .reason = OpenReason::start}, test::kFirstTime);
    source = writer.append_source({.host = "h", .identifier = "app"}).value();
  }
  bool add(const std::string& text) {
    const NewRecord record{.sequence = Sequence{next},
                           .receive_time_ns = test::kFirstTime + static_cast<std::int64_t>(next),
                           .source = source,
                           .slice = text};
    if (!writer.append(record)) return false;
    ++next;
    return true;
  }
  [[nodiscard]] std::vector<std::string> readable() const {
    auto reader = LogReader::open(directory.path(), Access::pread);
    return test::read_to_end(*reader);
  }

  TempDirectory directory;
  FileSystem& files;
  PreparedSegment segment;
  SegmentWriter writer;
  std::uint32_t source = 0;
  std::uint64_t next = 1;
};

class EachMethod : public ::testing::TestWithParam<WriteMethod> {};
INSTANTIATE_TEST_SUITE_P(, EachMethod,
                         ::testing::Values(WriteMethod::mapping, WriteMethod::pwrite, WriteMethod::dax),
                         [](const auto& each) { return std::string(name_of(each.param)); });

TEST_P(EachMethod, WritesAWholeSegmentThatIsSound) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    DaxFileSystem files;
    Written log(files, GetParam());
    ASSERT_EQ(log.segment.method, GetParam());
    std::mt19937 random(seed);
    const std::size_t largest = seed == 1 ? 300 : limits::kRecordBytesMax;
    std::vector<std::string> sent;
    for (;;) {
      std::string text(1 + random() % largest, static_cast<char>('a' + random() % 26));
      if (!log.add(text)) break;
      sent.push_back(std::move(text));
      if (random() % 40 == 0) {
        ASSERT_TRUE(log.writer.flush());
      }
    }
    log.writer.seal(2);
    ASSERT_TRUE(log.writer.flush());
    ASSERT_TRUE(seal_segment(files, log.segment.fd.get(), log.segment.header, log.writer.trailer()));
    const auto report = verify_directory(log.directory.path(), {});
    ASSERT_TRUE(report.has_value());
    for (const auto& finding : report->findings) ADD_FAILURE() << finding.offset << ": " << finding.text;
    EXPECT_EQ(log.readable(), sent);
  }
}

TEST_P(EachMethod, ShowsABatchToReadersAfterItsFlush) {
  DaxFileSystem files;
  Written log(files, GetParam());
  ASSERT_TRUE(log.writer.flush());
  const std::vector<std::string> sent{"one", "two"};
  for (const auto& text : sent) ASSERT_TRUE(log.add(text));
  if (GetParam() != WriteMethod::mapping) {
    EXPECT_TRUE(log.readable().empty()) << "a batch comes whole or not at all";
  }
  ASSERT_TRUE(log.writer.flush());
  EXPECT_EQ(log.readable(), sent);
}

TEST_P(EachMethod, TakesBackWhatAFailedBatchMayHaveLeft) {
  DaxFileSystem files;
  Written log(files, GetParam());
  ASSERT_TRUE(log.add("kept"));
  ASSERT_TRUE(log.writer.flush());
  const auto before = log.writer.position();
  const FileTrailer good = log.writer.trailer();
  // Across the start of two blocks, each of which a reader could take up again.
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(log.add(std::string(300'000, 'x')));
  log.writer.abandon();  // as its owner does when flush() has failed
  EXPECT_EQ(log.writer.position(), before);
  EXPECT_EQ(log.writer.next_sequence(), 2U);
  EXPECT_EQ(std::memcmp(&good, std::array{log.writer.trailer()}.data(), sizeof good), 0);
  EXPECT_EQ(log.readable(), std::vector<std::string>{"kept"});
  EXPECT_FALSE(log.add("more")) << "an abandoned segment has no room";
  EXPECT_FALSE(log.writer.append_source({.identifier = "more"}).has_value());
  EXPECT_FALSE(log.writer.append_gap({.reason = ingress::LossReason::shutdown, .count = 1}));
  EXPECT_EQ(log.writer.position(), before);
  const auto bytes = test::read_file(log.segment.path);
  EXPECT_TRUE(all_zero(std::span(bytes).first(frames_end(bytes.size())).subspan(before.offset())));
}

TEST_P(EachMethod, SaysThatTheFileWasCutShort) {
  DaxFileSystem files;
  Written log(files, GetParam());
  ASSERT_TRUE(log.add("kept"));
  ASSERT_TRUE(log.writer.flush());
  ASSERT_EQ(::ftruncate(log.segment.fd.get(), 64 * 1024), 0);
  ASSERT_TRUE(log.add(std::string(200'000, 'x'))) << "told once a batch, not per record";
  if (GetParam() == WriteMethod::pwrite) {
    EXPECT_TRUE(log.writer.flush()) << "a write makes the file longer again";
    return;
  }
  EXPECT_FALSE(log.writer.flush());
  EXPECT_NE(log.writer.failure().message().find("SIGBUS"), std::string::npos);
  EXPECT_FALSE(log.writer.flush()) << "for good";
  log.writer.abandon();
  EXPECT_EQ(log.writer.next_sequence(), 2U);
}

// Its owner may unmap the segment then, and something else may come to lie there.
TEST(ClosedWriter, GuardsTheMappingNoMore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto store_behind_close = [] {
    Written log(posix_file_system(), WriteMethod::mapping);
    if (!log.add("kept") || !log.writer.flush()) return;
    log.writer.close();
    if (log.writer.started() || log.add("more") || ::ftruncate(log.segment.fd.get(), 0) != 0) return;
    *log.segment.mapping.data() = std::byte{1};
    std::_Exit(0);
  };
  EXPECT_EXIT(store_behind_close(), ::testing::KilledBySignal(SIGBUS), "");
}

TEST(Pwrite, MapsNothingAndWritesOncePerBatch) {
  FaultyFileSystem files;
  Written log(files, WriteMethod::pwrite);
  EXPECT_FALSE(log.segment.mapping);
  ASSERT_TRUE(log.writer.flush());
  const auto before = files.calls(Op::write);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(log.add("record"));
  EXPECT_EQ(files.calls(Op::write), before);
  ASSERT_TRUE(log.writer.flush());
  EXPECT_EQ(files.calls(Op::write), before + 1);
  ASSERT_TRUE(log.writer.flush()) << "nothing to do";
  EXPECT_EQ(files.calls(Op::write), before + 1);
}

class WritesOfFrames : public FaultyFileSystem {
 public:
  struct Write {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    writes.push_back({offset, offset + bytes.size()});
    return FaultyFileSystem::write_at(fd, bytes, offset);
  }
  std::vector<Write> writes;
};

// So that a sync after most batches has no metadata to write.
TEST(Pwrite, SmallBatchesAreWrittenToWhereZerosHaveBeenWrittenBefore) {
  WritesOfFrames files;
  Written log(files, WriteMethod::pwrite);
  ASSERT_TRUE(log.writer.flush());
  std::uint64_t written_to = log.writer.offset();
  files.writes.clear();
  unsigned with_zeros = 0;
  while (log.add(std::string(3000, 'r')) && log.writer.flush()) {
    ASSERT_EQ(files.writes.size(), 1U);
    const auto [from, to] = files.writes.back();
    files.writes.clear();
    if (to == log.writer.offset()) continue;
    EXPECT_GT(log.writer.offset(), written_to) << "there is room yet";
    EXPECT_EQ(to, std::min(from + FrameOutput::kStagingBytes, frames_end(log.segment.header.segment_bytes)));
    written_to = to;
    ++with_zeros;
  }
  EXPECT_EQ(with_zeros, 3U) << "of four MiB; the first one's came before";
  EXPECT_EQ(log.readable().size(), log.next - 1);
}

TEST(Pwrite, LargeBatchesTakeNoZerosAlong) {
  WritesOfFrames files;
  Written log(files, WriteMethod::pwrite);
  ASSERT_TRUE(log.writer.flush());
  while (log.writer.offset() < limits::kMiB + limits::kMiB / 2) {
    files.writes.clear();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log.add(std::string(60'000, 'r')));
    ASSERT_TRUE(log.writer.flush());
    ASSERT_FALSE(files.writes.empty());
    EXPECT_EQ(files.writes.back().to, log.writer.offset());
  }
}

class WriteError : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, WriteError, ::testing::Values(EIO, ENOSPC, EDQUOT));

TEST_P(WriteError, OfPwriteIsFinalForTheSegment) {
  FaultyFileSystem files;
  Written log(files, WriteMethod::pwrite);
  ASSERT_TRUE(log.add("kept"));
  ASSERT_TRUE(log.writer.flush());
  const auto position = log.writer.position();
  files.fail(Op::write, GetParam(), 1, 1);  // once: a second try would succeed
  ASSERT_TRUE(log.add("lost"));
  EXPECT_FALSE(log.writer.flush());
  EXPECT_EQ(log.writer.failure().code.value(), GetParam());
  const auto calls = files.calls(Op::write);
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log.add(std::string(100'000, 'y')));
  EXPECT_FALSE(log.writer.flush());
  EXPECT_EQ(files.calls(Op::write), calls) << "no further attempt";
  log.writer.abandon();
  EXPECT_EQ(log.writer.position(), position);
  EXPECT_EQ(log.readable(), std::vector<std::string>{"kept"});
}

TEST(Pwrite, StartsTheNextSegmentWithACleanSlate) {
  FaultyFileSystem files;
  Written log(files, WriteMethod::pwrite);
  files.fail(Op::write, EIO);
  ASSERT_TRUE(log.add(std::string(1000, 'z')));
  ASSERT_FALSE(log.writer.flush());
  log.writer.abandon();
  files.heal();
  auto next = prepare_segment(files, {.directory = log.directory.path(),
                                      .log_uuid = log.segment.header.log_uuid,
                                      .index = 2,
                                      .epoch = 1,
                                      .segment_bytes = limits::kMiB,
                                      .method = WriteMethod::pwrite})
                  .value();
  log.next = 1;
  log.writer.start(next, {.first_sequence = 1, .epoch = 1, .reason = OpenReason::roll}, test::kFirstTime);
  log.source = log.writer.append_source({.identifier = "app"}).value();
  ASSERT_TRUE(log.add("a")) << "shorter than what stood in the buffer";
  ASSERT_TRUE(log.writer.flush());
  EXPECT_EQ(log.readable(), std::vector<std::string>{"a"});
}

TEST(Dax, WritesBackTheBatchBeforeTheCommitWordOfItsFirstFrame) {
  DaxFileSystem files;
  CountingPersist persist;
  Written log(files, WriteMethod::dax, persist);
  ASSERT_TRUE(log.writer.flush());
  const std::uint64_t from = log.writer.offset();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log.add("record " + std::to_string(i)));
  persist.calls.clear();
  ASSERT_TRUE(log.writer.flush());
  ASSERT_EQ(persist.calls.size(), 4U) << "two write-backs and two fences a batch, whatever its records";
  const auto first = reinterpret_cast<std::uintptr_t>(log.segment.mapping.data()) + from;
  EXPECT_EQ(persist.calls[0].from, first);
  EXPECT_EQ(persist.calls[0].bytes, log.writer.offset() - from);
  EXPECT_EQ(persist.calls[1].bytes, 0U);
  EXPECT_EQ(persist.calls[2].from, first);
  EXPECT_EQ(persist.calls[2].bytes, 8U);
  EXPECT_EQ(persist.calls[3].bytes, 0U);
  persist.calls.clear();
  ASSERT_TRUE(log.writer.flush());
  EXPECT_TRUE(persist.calls.empty()) << "no batch, nothing to do";
}

// The first batch of a segment too: its OPEN is there before anything else is.
TEST(Dax, AProcessThatDiesInABatchLeavesATornTailAtMost) {
  for (const int records : {0, 1, 100}) {
    DaxFileSystem files;
    Written log(files, WriteMethod::dax);
    for (int i = 0; i < records; ++i) ASSERT_TRUE(log.add("never flushed"));
    const auto report = recover(posix_file_system(), log.directory.path(), std::nullopt);
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->gaps.empty());
    EXPECT_EQ(report->next_sequence, 1U);
    ASSERT_EQ(report->segments.size(), 1U) << "the segment has begun";
    EXPECT_EQ(log.readable(), std::vector<std::string>{});
  }
}

TEST(Dax, FallsBackToTheOrdinaryMappingWhereTheKernelRefuses) {
  const TempDirectory directory;  // whatever lies below /tmp, it is no persistent memory
  auto segment = prepare_segment(posix_file_system(), {.directory = directory.path(),
                                                       .index = 1,
                                                       .epoch = 1,
                                                       .segment_bytes = limits::kMiB,
                                                       .method = WriteMethod::dax});
  ASSERT_TRUE(segment.has_value()) << segment.error().message();
  EXPECT_EQ(segment->method, WriteMethod::mapping);
  EXPECT_TRUE(segment->mapping);
}

}  // namespace
}  // namespace fastlogd::segment
