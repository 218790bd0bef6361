// What happens to a reader when files are removed, cut short or damaged, and when the daemon comes and goes.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "unit/client/reader_fixture.hpp"

namespace fastlogd::client {
namespace {

using test::LiveLog;
using test::LogBuilder;
using test::records;

TEST_F(LibraryReader, ToldOfWhatRetentionTookInItsPlace) {
  LogBuilder log(path());
  for (int segment = 0; segment < 4; ++segment) {
    log.begin();
    log.add_records(2);
    log.seal();
  }
  const auto reader = open(path());
  ASSERT_EQ(poll(reader.get(), 2).size(), 2U);
  std::filesystem::remove(log.path(2));
  std::filesystem::remove(log.path(3));
  const auto read = poll(reader.get());
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(text_of(read[0]), "<3-6>");
  EXPECT_EQ(read[0].gap.reason, FASTLOG_GAP_RETENTION);
  EXPECT_EQ(read[0].gap.count, 4U);
  EXPECT_EQ(read[0].frame, nullptr);
  EXPECT_EQ(read[0].slice, nullptr);
  EXPECT_EQ(text_of(read[2]), "record 8");
}

TEST_F(LibraryReader, AGapOfTheLogIsAFrameToo) {
  LogBuilder log(path());
  log.begin();
  log.add_records(1);
  ASSERT_TRUE(log.writer.append_gap({.reason = ingress::LossReason::ring_full, .count = 17}));
  log.add_records(1);
  const auto reader = open(path());
  const auto read = poll(reader.get());
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(read[1].kind, FASTLOG_KIND_GAP);
  ASSERT_NE(read[1].frame, nullptr);
  EXPECT_EQ(read[1].frame->type, 3);
  EXPECT_EQ(read[1].gap.reason, FASTLOG_GAP_RING_FULL);
  EXPECT_EQ(read[1].gap.count, 17U);
}

/// Whoever may write to the directory cut the file; the pages behind its new end would be SIGBUS.
void cut(const std::string& path, std::uint64_t bytes) {
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(bytes)), 0);
}

TEST_F(LibraryReader, AFileThatIsCutBetweenTwoPollsIsAGapAndNoSigbus) {
  LogBuilder log(path());
  log.begin();
  log.fill(1000);
  log.seal();
  log.begin();
  log.add_records(2);
  const auto reader = open(path());
  const auto before = poll(reader.get(), 4);
  ASSERT_EQ(before.size(), 4U);
  cut(log.path(1), segment::kHeaderBytes);
  const auto read = poll(reader.get());
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(read[0].kind, FASTLOG_KIND_GAP);
  EXPECT_EQ(read[0].gap.reason, FASTLOG_GAP_DAMAGED);
  EXPECT_EQ(read[0].gap.first_sequence, 5U);
  EXPECT_EQ(read[0].gap.last_sequence + 1, read[1].sequence);
}

TEST_F(LibraryReader, AFileThatIsCutBeforeItIsOpenedIsAGap) {
  LogBuilder log(path());
  log.begin();
  log.add_records(2);
  log.seal();
  log.begin();
  log.add_records(2);
  log.seal();
  log.begin();
  log.add_records(2);
  cut(log.path(2), 8192);
  for (const std::uint32_t flags : {0U, std::uint32_t{FASTLOG_READER_COPY}}) {
    const auto reader = open(path(), from(FASTLOG_FROM_OLDEST, flags));
    EXPECT_EQ(read_all(reader.get()),
              (std::vector<std::string>{"record 1", "record 2", "<3-4>", "record 5", "record 6"}));
  }
}

TEST_F(LibraryReader, ACopyingReaderGivesWhatItHasReadWhateverBecomesOfTheFile) {
  LogBuilder log(path());
  log.begin();
  log.fill(1000);
  log.seal();
  const auto reader = open(path(), from(FASTLOG_FROM_OLDEST, FASTLOG_READER_COPY));
  const auto read = poll(reader.get(), 300);
  ASSERT_EQ(read.size(), 300U);
  cut(log.path(1), 0);
  for (const fastlog_record& record : read) EXPECT_EQ(message_of(record), std::string(1000, 'x'));
}

TEST_F(LibraryReader, NoFlippedBitReachesARecord) {
  LogBuilder log(path());
  log.begin();
  log.add_records(3);
  log.seal();
  log.begin();
  log.add_records(1);
  const std::uint64_t third = LogPosition{poll(open(path()).get())[2].position}.offset();
  test::flip_bit(log.path(1), third + 35, 3);
  EXPECT_EQ(read_all(open(path()).get()),
            (std::vector<std::string>{"record 1", "record 2", "<3-3>", "record 4"}));
}

TEST_F(LibraryReader, SeesNothingThatIsNotPublished) {
  LiveLog log(path());
  log.begin();
  log.add_records(2);
  log.publish();
  log.add_records(1);
  const auto reader = open(path());
  EXPECT_EQ(read_all(reader.get()), records(1, 2));
  log.publish();
  EXPECT_EQ(read_all(reader.get()), records(3, 3));
  fastlog_reader_state state{};
  ASSERT_EQ(fastlog_reader_get_state(reader.get(), &state), FASTLOG_OK);
  EXPECT_EQ(state.live, 1U);
  EXPECT_EQ(state.committed, fastlog_reader_position(reader.get()));
}

TEST_F(LibraryReader, AWaitEndsWhenSomethingIsPublished) {
  LiveLog log(path());
  log.begin();
  log.publish();
  const auto reader = open(path());
  fastlog_record record{};
  EXPECT_EQ(fastlog_reader_poll(reader.get(), &record, 1, 20), 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    log.add_records(1);
    log.publish();
  });
  EXPECT_EQ(fastlog_reader_poll(reader.get(), &record, 1, -1), 1);
  writer.join();
  EXPECT_EQ(message_of(record), "record 1");
}

TEST_F(LibraryReader, ACallerThatNeverWaitsNoticesARestart) {
  std::optional<LiveLog> log(path());
  log->begin();
  log->add_records(1);
  log->publish();
  const auto reader = open(path());
  EXPECT_EQ(read_all(reader.get()), records(1, 1));
  log->seal();
  const LogPosition end = log->writer.position();
  log->control->set_committed(end);
  log->control->set_state(segment::LogState::stopped);
  log->die();
  log->control->unlink_files();
  log->epoch = 2;
  log->start();
  log->begin();
  log->add_records(1);
  log->publish();
  std::vector<std::string> read;
  for (int tries = 0; tries < 1000 && read.empty(); ++tries) {
    read = read_all(reader.get());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(read, records(2, 2));
}

}  // namespace
}  // namespace fastlogd::client
