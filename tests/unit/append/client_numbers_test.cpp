// What a store writes down of clients' own numbers, and what the next one makes of it.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
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

/// Ten numbered records are in it, and the next stores fail as often as its files are told.
struct SickStore {
  TempDirectory directory;
  StreamOptions options;
  test::SickFileSystem files;
  StoreHarness harness;

  explicit SickStore(OnSyncFailure on_failure = OnSyncFailure::fail_over)
      : options(sick_options(directory, on_failure)), harness(options, files) {
    harness.define_source(0, {.identifier = "x"});
    harness.numbering = {.client = client(1), .first = 1};
    harness.send(texts("one", 1, 10));
    EXPECT_TRUE(harness.wait_until_stored(10));
  }
  static StreamOptions sick_options(const TempDirectory& directory, OnSyncFailure on_failure) {
    StreamOptions options = options_in(directory);
    options.segment_bytes = test::SickFileSystem::kSegmentBytes;
    options.write = WriteBy::pwrite;
    options.durability.on_failure = on_failure;
    return options;
  }
};

TEST(ClientNumbersInTheLog, AreRightWhereAFailedStoreTookRecordsBack) {
  SickStore store;
  auto& [directory, options, files, harness] = store;
  files.failures = 1;
  harness.numbering = {.client = client(1), .first = 11};
  harness.send(texts("one", 11, 10));
  harness.numbering = {};
  harness.send(texts("nobody", 1, 5));
  ASSERT_TRUE(harness.wait_until_stored(25));
  EXPECT_EQ(after_a_kill(options).clients.last_of(client(1)), 20U);
}

// --- what comes a second time ---

/// The messages of a directory's records, in order.
std::vector<std::string> stored_in(const StreamOptions& options) {
  std::vector<std::string> messages;
  auto reader = segment::LogReader::open(options.directory, segment::Access::pread);
  segment::LogItem item;
  while (reader && reader->next(item) == segment::ReadStatus::item) {
    if (item.kind == segment::LogItem::Kind::record) messages.emplace_back(item.record.slice);
  }
  return messages;
}

bool eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 10'000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

TEST(RepeatedNumbers, AreStoredOnceWhicheverConnectionIsQuicker) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const TempDirectory directory;
  const auto options = options_in(directory);
  auto store = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                 {.files = posix_file_system(), .runtime_directory = "/dev/shm"})
                   .value();
  RingProducer rings[2];  // of two io threads
  for (RingProducer& ring : rings) ring.attach_to(*store);
  store->start();
  for (RingProducer& ring : rings) ring.define_source(0, {.identifier = "x"});
  constexpr std::uint64_t kRecords = 4000;
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  // A connection breaks, its ring is still being drained, and on the next one the client goes on anywhere behind what it
  // has been told.
  for (unsigned connection = 0; acknowledged < kRecords; ++connection) {
    RingProducer& ring = rings[connection % 2];
    std::uint64_t next = acknowledged + 1;
    for (int block = 0; block < 4 && next <= kRecords; ++block) {
      const std::size_t count = std::min<std::uint64_t>(1 + random() % 90, kRecords + 1 - next);
      ring.numbering = {.client = client(1), .first = next};
      ring.send(texts("one", next, count, 300));
      next += count;
      sent += count;
    }
    acknowledged += random() % (next - acknowledged);
    // It has been told of what is stored, so this is.
    ASSERT_TRUE(eventually([&] { return store->counters().stored_records.value() >= acknowledged; }));
  }
  const AppendCounters& counters = store->counters();
  ASSERT_TRUE(eventually([&] {
    return counters.stored_records.value() + counters.repeated_records.value() == sent;
  })) << counters.stored_records.value()
      << " stored, " << counters.repeated_records.value() << " repeated of " << sent;
  EXPECT_TRUE(stored_in(options) == texts("one", 1, kRecords, 300));
  EXPECT_GT(counters.repeated_records.value(), 0U);
  EXPECT_EQ(rings[0].progress.point().ring_position, rings[0].ring->written())
      << "it would never be acknowledged";
  EXPECT_EQ(rings[1].progress.point().ring_position, rings[1].ring->written());
  store->stop(std::chrono::seconds(5));
}

TEST(RepeatedNumbers, AreThoseOfOneClientAlone) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  ClientKey other_user = client(1);
  other_user.uid = 1001;
  for (const ClientKey& who : {client(1), client(2), other_user, ClientKey{}, ClientKey{}}) {
    harness.numbering = {.client = who, .first = 1};
    harness.send(texts("x", 1, 10));
  }
  ASSERT_TRUE(harness.wait_until_stored(50));
  EXPECT_EQ(harness.store->counters().repeated_records.value(), 0U);
}

/// It goes on behind what it has sent, though nobody has told it that this is stored: its connection before is drained late.
TEST(RepeatedNumbers, AreNotWhatComesLateFromAConnectionBefore) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  for (const std::uint64_t first : {1U, 21U, 11U, 31U, 25U}) {
    harness.numbering = {.client = client(1), .first = first};
    harness.send(texts("one", first, 10));
  }
  ASSERT_TRUE(eventually([&] { return harness.store->counters().repeated_records.value() == 10; }));
  EXPECT_EQ(harness.store->counters().stored_records.value(), 40U);
}

TEST(RepeatedNumbers, AreNotWhatFollowsTheFirstThatComesLate) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  for (const std::uint64_t first : {21U, 1U, 11U}) {
    harness.numbering = {.client = client(1), .first = first};
    harness.send(texts("one", first, 10));
  }
  EXPECT_TRUE(harness.wait_until_stored(30));
  EXPECT_EQ(harness.store->counters().repeated_records.value(), 0U);
}

/// It may be in the log and not on disk: who sends it again and wants it synced is not told so before it is.
TEST(RepeatedNumbers, AreSyncedIfTheyAreToBe) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  harness.numbering = {.client = client(1), .first = 1};
  harness.send(texts("one", 1, 10));
  ASSERT_TRUE(harness.wait_until_stored(10));
  ASSERT_LT(harness.store->status().durable, harness.store->status().committed);
  harness.like.flags.bits |= ingress::kSync;
  harness.send(texts("one", 1, 10));
  EXPECT_TRUE(
      eventually([&] { return harness.store->status().durable >= harness.store->status().committed; }));
  EXPECT_EQ(harness.store->counters().repeated_records.value(), 10U);
  EXPECT_EQ(harness.store->counters().stored_records.value(), 10U);
}

/// Whoever is told that nobody knows whether it is on disk, and sends it again, does it to have it stored again.
TEST(RepeatedNumbers, AreForgottenWithASegmentThatIsGivenUp) {
  SickStore store;
  auto& [directory, options, files, harness] = store;
  files.failures = 1;
  harness.numbering = {};
  harness.send(texts("nobody", 1, 1));
  ASSERT_TRUE(harness.wait_until_stored(11));
  harness.numbering = {.client = client(1), .first = 1};
  harness.send(texts("one", 1, 10));
  EXPECT_TRUE(harness.wait_until_stored(21));
  EXPECT_EQ(harness.store->counters().repeated_records.value(), 0U);
}

/// A block that reaches into the next segment is noted before the roll; the roll fails and takes it back.
TEST(RepeatedNumbers, AreNotWhatAFailedStoreTookBack) {
  SickStore store(OnSyncFailure::stop);
  auto& harness = store.harness;
  harness.numbering = {};
  harness.send(texts("nobody", 1, 1900, 1000));
  ASSERT_TRUE(harness.wait_until_stored(1910));
  store.files.failures = 1'000'000;
  harness.numbering = {.client = client(1), .first = 11};
  harness.send(texts("one", 11, 300, 1000));
  ASSERT_TRUE(eventually([&] { return store.files.failures.load() < 1'000'000; }));
  harness.stop();
  const AppendCounters& counters = harness.store->counters();
  EXPECT_EQ(counters.repeated_records.value(), 0U);
  EXPECT_EQ(counters.dropped_records[static_cast<std::size_t>(DropReason::shutdown)].value(), 300U);
}

/// The next daemon finds it in the client's memory, and stores it.
TEST(LentRecords, AreNotCountedLostByAStop) {
  SickStore store(OnSyncFailure::stop);
  auto& harness = store.harness;
  store.files.failures = 1'000'000;
  harness.numbering = {.client = client(1), .first = 11};
  harness.lent = true;
  harness.send(texts("one", 11, 300, 1000));
  ASSERT_TRUE(eventually([&] { return store.files.failures.load() < 1'000'000; }));
  harness.stop();
  const AppendCounters& counters = harness.store->counters();
  EXPECT_EQ(counters.dropped_records[static_cast<std::size_t>(DropReason::shutdown)].value(), 0U);
  EXPECT_EQ(counters.stored_records.value(), 10U) << "what had been stored before";
}

}  // namespace
}  // namespace fastlogd::append
