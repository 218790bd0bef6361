// Acknowledgements against a model of the disk (P2, P7): nothing is called durable before an fdatasync that started
// after it was committed has returned 0, and those who wait share.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "support/store_harness.hpp"
#include "support/synced_file_system.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::StoreHarness;
using test::SyncedFileSystem;
using test::TempDirectory;

std::uint64_t seed() {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

StreamOptions options_in(const TempDirectory& directory, DurabilityMode mode) {
  StreamOptions options;
  options.name = "g" + std::to_string(::getpid());
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.durability = {.mode = mode, .interval = std::chrono::hours(1)};
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

bool eventually(const std::function<bool()>& done, int tries = 10000) {
  for (int i = 0; i < tries && !done(); ++i) std::this_thread::sleep_for(milliseconds(1));
  return done();
}

/// A store that is not started yet; the model follows how far it is committed.
std::unique_ptr<StreamStore> open_watched(const StreamOptions& options, SyncedFileSystem& files) {
  auto opened = StreamStore::open(std::make_shared<const StreamOptions>(options),
                                  {.files = files, .runtime_directory = "/dev/shm"});
  files.committed = [&store = *opened.value()] { return store.status().committed; };
  return std::move(opened.value());
}

/// One client: a ring, and what its io thread would see of its records.
struct Client {
  std::unique_ptr<ring::ByteRing> ring = ring::ByteRing::create(limits::kRingBytesMin).value();
  std::unique_ptr<ring::WakeSignal> space = ring::WakeSignal::create().value();
  std::unique_ptr<ring::WakeSignal> acks = ring::WakeSignal::create().value();
  ingress::RingLoss loss;
  RingProgress progress;
  LogPosition before;  ///< the log position of the last record that was answered
};

class ClientsOf {
 public:
  ClientsOf(const StreamOptions& options, SyncedFileSystem& files, std::size_t count)
      : store(open_watched(options, files)) {
    for (std::size_t i = 0; i < count; ++i) {
      Client& client = *clients.emplace_back(std::make_unique<Client>());
      store->attach({.ring = client.ring.get(),
                     .loss = &client.loss,
                     .space = client.space.get(),
                     .progress = &client.progress,
                     .acks = client.acks.get()});
    }
  }
  ~ClientsOf() { store->stop(seconds(5)); }

  /// Sends one record that asks for a sync and waits for its answer; pending after twenty seconds.
  Durable send_and_wait(Client& client) const {
    if (client.ring->written() == 0)
      hand_over(client, ingress::source_definition_bytes({}),
                [](std::byte* to) { ingress::write_source_definition(0, {}, to); });
    hand_over(client, ingress::block_bytes(8, 1), [](std::byte* to) {
      const ingress::EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(ingress::block_bytes(8, 1)),
                                        .payload_bytes = 8,
                                        .descriptor_count = 1,
                                        .receive_time_ns = realtime_ns()};
      const ingress::Descriptor descriptor{.slice_bytes = 8, .flags = {ingress::kSync}};
      std::memcpy(to, &header, sizeof header);
      std::memcpy(to + sizeof header, "12345678", 8);
      std::memcpy(to + sizeof header + 8, &descriptor, sizeof descriptor);
    });
    const std::uint64_t sent = client.ring->written();
    const std::int64_t deadline = monotonic_ns() + 20 * kNanosPerSecond;
    for (;;) {
      client.acks->arm();
      const RingPoint point = client.progress.point();
      const Durable answer = point.ring_position >= sent
                                 ? store->progress().state(client.before, point.log_position)
                                 : Durable::pending;
      if (answer != Durable::pending || monotonic_ns() > deadline) {
        client.acks->disarm();
        client.before = point.log_position;
        return answer;
      }
      client.acks->wait(seconds(1));
      client.acks->disarm();
    }
  }

  std::unique_ptr<StreamStore> store;
  std::vector<std::unique_ptr<Client>> clients;

 private:
  void hand_over(Client& client, std::size_t bytes, const std::function<void(std::byte*)>& write) const {
    const auto room = client.ring->reserve(bytes);
    FASTLOGD_CHECK(!room.empty());  // one record at a time
    write(room.data());
    client.ring->commit(bytes);
    client.ring->publish();
    store->data_signal().notify();
  }
};

constexpr std::uint64_t kEnough = 10;  // answers that were compared

/// Sends blocks of random sizes and holds every answer against the model, over rolls.
void hold_against_model(SyncedFileSystem& files, const StreamOptions& options, std::mt19937_64& random,
                        int blocks) {
  StoreHarness harness(open_watched(options, files));
  harness.define_source(0, {.identifier = "x"});
  harness.like.flags.bits = ingress::kSync;
  std::vector<LogPosition> points{harness.store->status().committed};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> durable{0};
  std::atomic<std::uint64_t> unknown{0};
  std::thread observer([&] {
    std::size_t checked = 0;
    while (!done.load()) {
      if (const auto now = harness.store->status().committed; now != points.back()) points.push_back(now);
      for (; checked + 1 < points.size(); ++checked) {
        const Durable state = harness.store->progress().state(points[checked], points[checked + 1]);
        if (state == Durable::pending) break;
        if (state == Durable::unknown) {
          ++unknown;
          continue;
        }
        ++durable;
        // The model is brought up to date before fdatasync returns: it is never behind.
        ASSERT_TRUE(files.holds(points[checked], points[checked + 1]))
            << points[checked].segment() << ":" << points[checked].offset() << " to "
            << points[checked + 1].segment() << ":" << points[checked + 1].offset();
      }
    }
  });
  // On a busy machine the observer sees few of the points: it goes on until there are enough, for a while.
  const auto enough = [&] {
    return durable > kEnough && files.syncs.load() > 2 * kEnough && (files.fail_one_in == 0 || unknown > 0);
  };
  const std::int64_t deadline = monotonic_ns() + 60 * kNanosPerSecond;
  for (int i = 0; i < blocks || (!enough() && monotonic_ns() < deadline); ++i) {
    harness.send(std::vector<std::string>(1 + random() % 40, std::string(random() % 1500, 'r')));
    if (random() % 4 == 0) std::this_thread::sleep_for(microseconds(random() % 800));
  }
  EXPECT_TRUE(eventually([&] { return harness.ring->read() == harness.ring->written(); }));
  (void)harness.store->sync(seconds(5));
  std::this_thread::sleep_for(milliseconds(20));
  done = true;
  observer.join();
  EXPECT_GT(durable, kEnough);
  if (files.fail_one_in != 0) {
    EXPECT_GT(unknown, 0U);
  } else {
    EXPECT_EQ(unknown, 0U);
  }
  harness.stop();
}

TEST(GroupCommit, CallsNothingDurableBeforeASyncThatStartedAfterItsCommit) {
  const std::uint64_t first = seed();
  SCOPED_TRACE("FASTLOGD_TEST_SEED=" + std::to_string(first));
  std::mt19937_64 random(first);
  for (const DurabilityMode mode : {DurabilityMode::group, DurabilityMode::interval, DurabilityMode::none}) {
    const TempDirectory directory;
    SyncedFileSystem files(random());
    files.delay_us = 700;
    hold_against_model(files, options_in(directory, mode), random, 600);
    EXPECT_GT(files.syncs.load(), 2 * kEnough);
  }
}

TEST(GroupCommit, NeverAcknowledgesInASegmentAfterItsFirstFailedSync) {
  const std::uint64_t first = seed();
  SCOPED_TRACE("FASTLOGD_TEST_SEED=" + std::to_string(first));
  std::mt19937_64 random(first);
  const TempDirectory directory;
  SyncedFileSystem files(random());
  files.delay_us = 500;
  files.fail_one_in = 25;
  hold_against_model(files, options_in(directory, DurabilityMode::group), random, 4000);
  EXPECT_GT(files.failures.load(), 0U);
}

TEST(GroupCommit, SixtyFourWaitersShareSyncs) {
  constexpr std::size_t kClients = 64;
  constexpr int kEach = 10;
  const TempDirectory directory;
  SyncedFileSystem files;
  files.delay_us = 100'000;  // a busy machine's clients come slowly
  auto options = options_in(directory, DurabilityMode::group);
  options.durability.group_window = milliseconds(100);
  ClientsOf test(options, files, kClients);
  test.store->start();
  std::atomic<int> acknowledged{0};
  {
    std::vector<std::jthread> threads;
    for (const auto& client : test.clients) {
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          if (test.send_and_wait(*client) == Durable::yes) acknowledged.fetch_add(1);
        }
      });
    }
  }
  EXPECT_EQ(acknowledged.load(), static_cast<int>(kClients) * kEach);
  const std::uint64_t syncs = test.store->counters().syncs.value();
  // One for everybody each time; about twice as many if a first one always went alone.
  EXPECT_LE(syncs, kEach * 3U / 2) << acknowledged.load() << " acknowledgements";
  EXPECT_EQ(test.store->counters().sync_wishes.value(), kClients * kEach);
  EXPECT_TRUE(eventually([&] {
    return test.store->counters().sync_wishes_settled.value() == test.store->counters().sync_wishes.value();
  }));
}

TEST(GroupCommit, OneClientWaitsForNobodyElse) {
  const TempDirectory directory;
  SyncedFileSystem files;
  constexpr std::int64_t kSyncMillis = 100;  // a busy machine adds some ten to it
  files.delay_us = kSyncMillis * 1000;
  auto options = options_in(directory, DurabilityMode::group);
  options.durability.group_window = milliseconds(100);
  ClientsOf test(options, files, 1);
  test.store->start();
  std::vector<std::int64_t> took;
  for (int i = 0; i < 11; ++i) {
    const std::int64_t began = monotonic_ns();
    EXPECT_EQ(test.send_and_wait(*test.clients[0]), Durable::yes);
    took.push_back(monotonic_ns() - began);
  }
  std::ranges::sort(took);
  // Put off by as long as the last sync took, it would be twice that.
  EXPECT_LT(took[took.size() / 2], kSyncMillis * kNanosPerMilli * 8 / 5);
  EXPECT_GE(test.store->counters().syncs.value(), took.size());
}

TEST(Wishes, OfASenderOrASeverityAreSyncedAtOnceInEveryMode) {
  for (const DurabilityMode mode : {DurabilityMode::none, DurabilityMode::interval}) {
    const TempDirectory directory;
    auto options = options_in(directory, mode);
    options.durability.sync_severity = 2;
    StoreHarness harness(options);
    harness.define_source(0, {.identifier = "x"});
    const auto durable = [&] { return harness.store->status().durable == harness.store->status().committed; };
    harness.like.priority = Priority{8 + 3};
    harness.send({"err"});
    ASSERT_TRUE(harness.wait_until_stored(1));
    EXPECT_FALSE(eventually(durable, 30)) << "the interval is an hour";
    EXPECT_EQ(harness.store->counters().sync_wishes.value(), 0U);
    harness.like.priority = Priority{8 + 2};
    harness.send({"crit"});
    EXPECT_TRUE(harness.wait_until_stored(2));
    EXPECT_TRUE(eventually(durable));
    harness.like = {.flags = {ingress::kSync}};
    harness.send({"the sender asks"});
    EXPECT_TRUE(harness.wait_until_stored(3));
    EXPECT_TRUE(eventually(durable));
    EXPECT_EQ(harness.store->counters().sync_wishes.value(), 2U);
    options.durability.sync_severity = Durability::kNoSeverity;
    harness.store->apply(std::make_shared<const StreamOptions>(options));
    harness.like = {.priority = Priority{8}};
    harness.send({"emerg, but nobody cares any more"});
    EXPECT_TRUE(harness.wait_until_stored(4));
    EXPECT_FALSE(eventually(durable, 30));
  }
}

TEST(Dax, WhereItIsNotPossibleIsReportedAndSyncsAsAGroupDoes) {
  const TempDirectory directory;
  SyncedFileSystem files;
  StoreHarness harness(open_watched(options_in(directory, DurabilityMode::dax), files));
  EXPECT_EQ(harness.store->status().durability, DurabilityMode::group);
  harness.define_source(0, {.identifier = "x"});
  harness.send({"a record"});
  ASSERT_TRUE(harness.wait_until_stored(1));
  EXPECT_TRUE(
      eventually([&] { return harness.store->status().durable == harness.store->status().committed; }));
  EXPECT_GT(files.syncs.load(), 0U);
  harness.stop();
}

}  // namespace
}  // namespace fastlogd::append
