// What a store writes down of clients' own numbers, and what the next one makes of it.
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/verify.hpp"
#include "support/sick_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::RingProducer;
using test::StoreHarness;
using test::TempDirectory;

ClientKey client(std::uint8_t id) {
  ClientKey key{.uid = 1000};
  key.id.fill(id);
  return key;
}

StreamOptions options_in(const TempDirectory& directory) {
  StreamOptions options;
  options.name =
      "n" + std::to_string(::getpid()) + std::filesystem::path(directory.path()).filename().string();
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

std::vector<std::string> texts(const std::string& name, std::uint64_t first, std::size_t count,
                               std::size_t bytes = 0) {
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < count; ++i) {
    messages.push_back(name + " " + std::to_string(first + i) + " " + std::string(bytes, '.'));
  }
  return messages;
}

/// What a kill now would leave, recovered.
segment::RecoveryReport after_a_kill(const StreamOptions& options) {
  const TempDirectory copy;
  std::filesystem::create_directory(copy.path() + "/log");
  for (const auto& entry : std::filesystem::directory_iterator(options.directory)) {
    std::error_code gone;  // a file that was being prepared has got its name meanwhile
    std::filesystem::copy(entry.path(), copy.path() + "/log", gone);
  }
  auto report = segment::recover(posix_file_system(), copy.path() + "/log", {});
  EXPECT_TRUE(report.has_value());
  return std::move(*report);
}

std::size_t count_of(const StreamOptions& options, segment::FrameType type) {
  std::size_t count = 0;
  for (std::uint64_t index = 1;; ++index) {
    auto cursor =
        segment::SegmentCursor::open(posix_file_system(), options.directory, index, segment::Access::pread);
    if (!cursor) return count;
    for (segment::FrameView frame; cursor->next(cursor->end_offset(), frame) == segment::FrameStatus::valid;)
      count += frame.header.type == type ? 1 : 0;
  }
}

TEST(ClientNumbersInTheLog, SayHowFarEachClientGotOverRollsAndAmongOthers) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  std::map<std::uint8_t, std::uint64_t> next{{1, 1}, {2, 1}, {3, 1}};
  std::uint64_t sent = 0;
  for (int turn = 0; turn < 60; ++turn) {
    const auto who = static_cast<std::uint8_t>(turn % 4);  // 0 numbers nothing
    const std::size_t count = 20 + static_cast<std::size_t>(turn) * 3;
    harness.numbering = who == 0 ? Numbering{} : Numbering{.client = client(who), .first = next[who]};
    harness.send(texts(std::to_string(who), next[who], count, 600));
    if (who != 0) next[who] += count;
    sent += count;
    if (turn % 10 != 9) continue;
    ASSERT_TRUE(harness.wait_until_stored(sent));
    const auto report = after_a_kill(options);
    for (std::uint8_t id = 1; id <= 3; ++id) EXPECT_EQ(report.clients.last_of(client(id)), next[id] - 1);
    EXPECT_EQ(report.next_sequence, sent + 1);
  }
  EXPECT_GT(harness.store->counters().rolls.value(), 2U);
  harness.stop();
  const auto verified = segment::verify_directory(options.directory, {});
  ASSERT_TRUE(verified.has_value());
  EXPECT_FALSE(verified->has_unaccounted_gap());
  EXPECT_EQ(verified->records, sent);
}

TEST(ClientNumbersInTheLog, CostAFrameForEachChangeOfTheSenderAlone) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  for (std::uint64_t block = 0; block < 50; ++block) {
    harness.numbering = {.client = client(1), .first = 1 + block * 2};
    harness.send(texts("one", 1 + block * 2, 2));
  }
  ASSERT_TRUE(harness.wait_until_stored(100));
  EXPECT_EQ(count_of(options, segment::FrameType::numbers), 1U);
  harness.numbering = {.client = client(1), .first = 102};  // 101 was refused
  harness.send(texts("one", 102, 1));
  harness.numbering = {};
  harness.send(texts("nobody", 1, 1));
  harness.send(texts("nobody", 2, 1));
  ASSERT_TRUE(harness.wait_until_stored(103));
  EXPECT_EQ(count_of(options, segment::FrameType::numbers), 3U);
  EXPECT_EQ(after_a_kill(options).clients.last_of(client(1)), 102U);
}

TEST(ClientNumbersInTheLog, WithoutAnyThereAreNoFramesBeforeTheEnd) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.send(texts("nobody", 1, 3000, 600));
  ASSERT_TRUE(harness.wait_until_stored(3000));
  EXPECT_EQ(count_of(options, segment::FrameType::numbers), 0U);
  EXPECT_TRUE(after_a_kill(options).clients.empty());
}

TEST(ClientNumbersInTheLog, AreHandedOnFromRunToRunWithoutTheClients) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  {
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    harness.numbering = {.client = client(1), .first = 1};
    harness.send(texts("one", 1, 5));
    ASSERT_TRUE(harness.wait_until_stored(5));
    harness.stop();
  }
  for (int run = 0; run < 3; ++run) {
    StoreHarness harness(options);
    EXPECT_EQ(harness.store->recovery().clients.last_of(client(1)), 5U) << "run " << run;
    harness.define_source(0, {.identifier = "x"});
    if (run == 1) {  // over rolls
      harness.send(texts("nobody", 1, 3000, 600));
      ASSERT_TRUE(harness.wait_until_stored(3000));
    }
    EXPECT_EQ(after_a_kill(options).clients.last_of(client(1)), 5U) << "run " << run;
    harness.stop();
  }
}

TEST(ClientNumbersInTheLog, AreRightWhereAFailedStoreTookRecordsBack) {
  const TempDirectory directory;
  auto options = options_in(directory);
  options.segment_bytes = test::SickFileSystem::kSegmentBytes;
  options.write = WriteBy::pwrite;
  test::SickFileSystem files;
  StoreHarness harness(options, files);
  harness.define_source(0, {.identifier = "x"});
  harness.numbering = {.client = client(1), .first = 1};
  harness.send(texts("one", 1, 10));
  ASSERT_TRUE(harness.wait_until_stored(10));
  files.failures = 1;
  harness.numbering = {.client = client(1), .first = 11};
  harness.send(texts("one", 11, 10));
  harness.numbering = {};
  harness.send(texts("nobody", 1, 5));
  ASSERT_TRUE(harness.wait_until_stored(25));
  EXPECT_EQ(after_a_kill(options).clients.last_of(client(1)), 20U);
}

}  // namespace
}  // namespace fastlogd::append
