// What crosses threads: snapshots, counters, owners. Meant to run under the thread sanitizer, too.
#include <pthread.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/counter.hpp"
#include "base/snapshot.hpp"
#include "base/thread_role.hpp"

namespace fastlogd {
namespace {

struct Pair {
  std::uint64_t first = 0;
  std::uint64_t second = 0;  ///< always equal to first
};

TEST(Snapshot, ReaderTakesTheNewestAndLetsGoOfTheOld) {
  auto old = std::make_shared<const Pair>(Pair{1, 1});
  const std::weak_ptr<const Pair> watched = old;
  SnapshotBox<Pair> box(std::move(old));
  SnapshotReader<Pair> reader(box);
  EXPECT_EQ(reader.current().first, 1U);
  box.publish(std::make_shared<const Pair>(Pair{2, 2}));
  EXPECT_FALSE(watched.expired()) << "the reader still holds it";
  EXPECT_EQ(reader.current().first, 2U);
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(box.load()->first, 2U);
  EXPECT_EQ(box.generation(), 2U);
}

TEST(Snapshot, ReadersSeeWholeValuesInOrderWhileTheWriterPublishes) {
  constexpr std::uint64_t kLast = 20'000;
  SnapshotBox<Pair> box(std::make_shared<const Pair>());
  std::atomic<int> torn{0};
  std::atomic<int> backwards{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      SnapshotReader<Pair> reader(box);
      std::uint64_t seen = 0;
      while (seen < kLast) {
        const Pair& now = reader.current();
        torn += now.first != now.second ? 1 : 0;
        backwards += now.first < seen ? 1 : 0;
        seen = now.first;
      }
    });
  }
  for (std::uint64_t i = 1; i <= kLast; ++i) box.publish(std::make_shared<const Pair>(Pair{i, i}));
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn.load(), 0);
  EXPECT_EQ(backwards.load(), 0);
}

TEST(Counter, IsReadWhileItsOwnerCounts) {
  constexpr std::uint64_t kLast = 200'000;
  Counter counter;
  std::thread owner([&] {
    for (std::uint64_t i = 0; i < kLast; ++i) counter.add();
  });
  std::uint64_t seen = 0;
  while (seen < kLast) {
    const std::uint64_t now = counter.value();
    ASSERT_GE(now, seen);
    seen = now;
  }
  owner.join();
  counter.add(5);
  EXPECT_EQ(counter.value(), kLast + 5);
  counter.set(7);
  EXPECT_EQ(counter.value(), 7U);
}

TEST(SharedCounter, LosesNothingBetweenThreads) {
  SharedCounter counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) counter.add(2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 80'000U);
}

TEST(ThreadOwner, FirstCallerOwnsUntilReleased) {
  ThreadOwner owner;
  owner.check();
  owner.check();
  owner.release();
  std::thread([&] { owner.check(); }).join();
}

TEST(ThreadOwnerDeathTest, AnotherThreadDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ThreadOwner owner;
        owner.check();
        std::thread([&] { owner.check(); }).join();
      },
      "broken invariant");
}

TEST(ThreadName, IsWhatPsShows) {
  std::thread([] {
    set_thread_name("appender");
    char name[16]{};
    ASSERT_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    EXPECT_STREQ(name, "appender");
  }).join();
}

}  // namespace
}  // namespace fastlogd
