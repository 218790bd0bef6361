// NUMBERS frames: what a start learns of clients' own numbers, wherever the log ends.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "segment/recovery_plan.hpp"
#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;
using test::TempDirectory;

ClientKey client(std::uint8_t id, std::uint32_t uid = 1000) {
  ClientKey key{.uid = uid};
  key.id.fill(id);
  return key;
}

void number(LogBuilder& log, const ClientKey& key, std::uint64_t first) {
  ASSERT_TRUE(log.writer.append_numbers({.client = key, .first = first}));
}

/// A block of a client's records, as the appender writes it.
void add_block(LogBuilder& log, const ClientKey& key, std::uint64_t first, int count) {
  number(log, key, first);
  log.add_records(count, "client " + std::to_string(key.id[0]));
}

std::vector<std::uint64_t> frame_offsets(const LogBuilder& log, std::uint64_t index) {
  auto cursor = SegmentCursor::open(posix_file_system(), log.directory(), index, Access::pread).value();
  std::vector<std::uint64_t> offsets;
  for (FrameView frame; cursor.next(cursor.end_offset(), frame) == FrameStatus::valid;)
    offsets.push_back(frame.offset);
  return offsets;
}

TEST(Numbers, AreFoundAsTheyWereWritten) {
  const Numbering numbering{.client = client(7, 42), .first = 99};
  const auto decoded = decode_numbers(std::as_bytes(std::span(&numbering, 1)));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, numbering);
  Numbering wrong = numbering;
  wrong.first = 0;
  EXPECT_FALSE(decode_numbers(std::as_bytes(std::span(&wrong, 1)))) << "numbers begin with 1";
  wrong.first = ~std::uint64_t{0};
  EXPECT_FALSE(decode_numbers(std::as_bytes(std::span(&wrong, 1)))) << "counting on would wrap";
  EXPECT_FALSE(decode_numbers(std::as_bytes(std::span(&numbering, 1)).first(24)));
  const Numbering none{};
  EXPECT_TRUE(decode_numbers(std::as_bytes(std::span(&none, 1)))->client.is_none());
}

TEST(Numbers, ArePassedOverByEveryReader) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 3);
  number(log, {}, 0);
  log.add_records(2, "client 1");
  log.seal();
  EXPECT_EQ(read(directory.path()), test::records(1, 5, "client 1"));
  expect_sound(directory.path());
  auto reader = LogReader::open(directory.path(), Access::mapped).value();
  LogItem item;
  ASSERT_TRUE(reader.seek_sequence(Sequence{4}));
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence.value, 4U);
}

/// Two clients and somebody without numbers take turns; the log is cut before every frame of it.
TEST(Numbers, SayHowFarEachClientGotWhereverTheLogEnds) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 3);
  add_block(log, client(2), 11, 2);
  number(log, {}, 0);
  log.add_records(3, "nobody");
  add_block(log, client(1), 4, 1);
  log.add_records(2, "client 1");    // goes on without a frame
  add_block(log, client(2), 15, 2);  // 13 and 14 were refused
  const auto offsets = frame_offsets(log, 1);
  for (std::size_t cut = 2; cut <= offsets.size(); ++cut) {
    const TempDirectory copy;
    std::filesystem::copy(log.path(1), copy.path() + "/" + segment_name(1));
    if (cut < offsets.size())
      test::poke(copy.path() + "/" + segment_name(1), offsets[cut], std::vector<std::byte>(8));
    std::uint64_t expected_1 = 0;
    std::uint64_t expected_2 = 0;
    std::uint64_t sequence = 0;
    for (const std::string& message : read(copy.path())) {
      ++sequence;
      if (message.starts_with("client 1")) ++expected_1;
      if (message.starts_with("client 2"))
        expected_2 = expected_2 == 12 ? 15 : std::max<std::uint64_t>(expected_2, 10) + 1;
    }
    for (int run = 0; run < 2; ++run) {
      const auto report = recover(posix_file_system(), copy.path(), log.log_uuid).value();
      EXPECT_EQ(report.next_sequence, sequence + 1);
      EXPECT_EQ(report.clients.last_of(client(1)), expected_1)
          << "cut before frame " << cut << ", start " << run;
      // All before the first number of a frame is dealt with, though none of its records is there.
      const std::uint64_t known_2 = report.clients.last_of(client(2));
      EXPECT_TRUE(known_2 == expected_2 || (expected_2 == 0 && known_2 == 10) ||
                  (expected_2 == 12 && known_2 == 14))
          << known_2 << " for " << expected_2 << ", cut before frame " << cut;
      EXPECT_EQ(report.clients.last_of(client(1, 0)), 0U);
    }
  }
}

TEST(Numbers, OfASegmentEndWithIt) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 3);
  log.seal_frame();
  log.begin();
  log.add_records(5, "nobody");
  EXPECT_EQ(recover_log(log).clients.last_of(client(1)), 0U) << "the second segment says all that matters";
}

/// A writer repeats in each segment what it knows, so that the newest is enough; this one died before it could.
TEST(Numbers, AreLookedForInTheSegmentBeforeWhereTheNewestDoesNotSayThem) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 3);
  number(log, {}, 0);
  log.fill(1000);
  recover_log(log);  // the crash of a run before: now it has a trailer
  log.begin();
  for (int run = 0; run < 3; ++run)
    EXPECT_EQ(recover_log(log).clients.last_of(client(1)), 3U) << "no record in the newest, start " << run;
}

/// A daemon that dies in a roll: the segment before has its trailer already, the next one has said nothing yet.
TEST(Numbers, OfASegmentThatWasRolledOutOfAreReadWhereTheNextOneSaysNothing) {
  for (const bool opened : {false, true}) {
    const TempDirectory directory;
    LogBuilder log(directory.path(), 4 * limits::kMiB);
    log.begin();
    add_block(log, client(2), 1, 5);
    add_block(log, client(1), 1, 3000);  // long before the end, and the last to be said
    log.add_records(3000, std::string(500, 'x'));
    log.seal();
    if (opened) log.begin();
    for (int run = 0; run < 2; ++run) {
      const auto report = recover_log(log);
      EXPECT_EQ(report.clients.last_of(client(1)), 6000U) << "opened " << opened << ", start " << run;
      EXPECT_EQ(report.clients.last_of(client(2)), 5U) << "opened " << opened << ", start " << run;
    }
  }
}

/// What is missing may have been anybody's: then nobody is told that it is there.
TEST(Numbers, AreNotBelievedWhereRecordsAreMissing) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 200);
  log.begin();  // by a daemon that lost its power: the end of the segment before never reached the disk
  add_block(log, client(1), 201, 100);
  EXPECT_EQ(recover_log(log).clients.last_of(client(1)), 300U);

  const TempDirectory torn;
  LogBuilder lossy(torn.path());
  lossy.begin();
  add_block(lossy, client(1), 1, 200);
  const auto offsets = frame_offsets(lossy, 1);
  test::poke(lossy.path(1), offsets[offsets.size() - 50], std::vector<std::byte>(8));
  lossy.begin();
  add_block(lossy, client(1), 201, 100);
  const auto report = recover_log(lossy);
  ASSERT_FALSE(report.gaps.empty());
  EXPECT_EQ(report.clients.last_of(client(1)), 0U);
}

TEST(Numbers, AreSaidOnceMoreAtAnOrderlyEnd) {
  const TempDirectory directory;
  LogBuilder log(directory.path(), 4 * limits::kMiB);
  log.begin();
  while (log.writer.offset() < 3 * limits::kMiB) log.add_records(1, std::string(1000, 'x'));
  number(log, client(1), 8);
  number(log, client(2), 5);
  number(log, {}, 0);
  log.writer.seal(0);
  ASSERT_TRUE(seal_segment(posix_file_system(), log.file->fd.get(), log.file->header, log.writer.trailer()));
  const auto report = recover_log(log);
  EXPECT_EQ(report.clients.last_of(client(1)), 7U);
  EXPECT_EQ(report.clients.last_of(client(2)), 4U);
}

TEST(Numbers, OfSegmentsThatTheDiskDoesNotLetBeClosedAreNotBelieved) {
  const TempDirectory directory;
  LogBuilder log(directory.path());
  log.begin();
  add_block(log, client(1), 1, 3);
  auto plan = plan_recovery(posix_file_system(), directory.path(), log.log_uuid).value();
  EXPECT_EQ(conclude(plan).clients.last_of(client(1)), 3U);
  plan.files.front().trouble = "not synced";
  EXPECT_TRUE(conclude(plan).clients.empty()) << "sent again rather than lost";
}

}  // namespace
}  // namespace fastlogd::segment
