#include <atomic>
#include <thread>

#include "fake_daemon.hpp"

namespace fastlogd::client {
namespace {

constexpr std::size_t kCapacity = 262144;

/// A log into which a thread has written three records and ended; the daemon that gave it memory took none, and is gone.
/// The other one is this thread's, which has written nothing.
struct LeftOver {
  FakeDaemon daemon;
  FakeSession mine, other;
  LogPtr log;

  LeftOver() {
    std::thread serving([this] {
      mine = daemon.accept();
      mine.give_memory(kCapacity);
      other = daemon.accept();
      other.give_memory(kCapacity);
    });
    log = open_log(daemon);
    std::thread([this] {
      for (const char* text : {"one", "two", "three"}) EXPECT_EQ(write(log, text), FASTLOG_OK);
    }).join();
    serving.join();
    other.close();
  }
};

TEST(Threads, OneFlushesWhatAnEndedOneHasLeftWhileOthersAskForCounts) {
  LeftOver left;
  std::atomic<bool> done{false};
  std::thread asking([&] {
    while (!done) EXPECT_EQ(counts_of(left.log).written, 3U);
  });
  std::thread flushing([&] {
    while (!done) static_cast<void>(fastlog_flush(left.log.get(), FASTLOG_STORED, 1000));
  });
  for (int round = 0; round < 100;
       ++round) {  // each gives memory and goes away, without having taken anything
    FakeSession next = left.daemon.accept();
    ASSERT_TRUE(next);
    EXPECT_EQ(next.first_number(), 1U);
    next.give_memory(kCapacity);
  }
  done = true;
  while (FakeSession last = left.daemon.accept(100)) last.give_memory(kCapacity);
  flushing.join();
  asking.join();
  EXPECT_EQ(counts_of(left.log).dropped, 0U);
}

TEST(Threads, TwoThatFlushTakeAnEndedOnesPlaceOneAtATime) {
  LeftOver left;
  std::atomic<bool> done{false};
  const auto flush = [&] {
    while (!done) static_cast<void>(fastlog_flush(left.log.get(), FASTLOG_STORED, 1000));
  };
  std::thread one(flush);
  std::thread another(flush);
  for (int round = 0; round < 100; ++round) {
    FakeSession next = left.daemon.accept();
    ASSERT_TRUE(next);
    next.give_memory(kCapacity);
  }
  done = true;
  while (FakeSession last = left.daemon.accept(100)) last.give_memory(kCapacity);
  one.join();
  another.join();
  EXPECT_EQ(counts_of(left.log).written, 3U);
}

/// A log of this thread's and of one that ends; the daemon gives memory or none.
struct Ended {
  FakeDaemon daemon;
  FakeSession mine, other;
  LogPtr log;

  explicit Ended(std::size_t capacity) {
    std::thread serving([&] {
      for (FakeSession* session : {&mine, &other}) {
        *session = daemon.accept();
        capacity == 0 ? session->refuse_memory() : session->give_memory(capacity);
      }
      other.refuse_records();
    });
    log = open_log(daemon);
    std::thread([&] { EXPECT_EQ(write(log, "one"), FASTLOG_OK); }).join();
    serving.join();
  }
  [[nodiscard]] int flush(int timeout_ms = 5000) const {
    return fastlog_flush(log.get(), FASTLOG_STORED, timeout_ms);
  }
};

TEST(EndedThread, WhatBecameOfItsRecordsIsUnknownWhereItsSocketBroke) {
  Ended client(0);
  EXPECT_EQ(client.flush(50), FASTLOG_ERROR_TIMEOUT) << "they are on their way";
  client.other.close();
  EXPECT_EQ(client.flush(), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(client.flush(), FASTLOG_OK) << "said once";
  EXPECT_EQ(counts_of(client.log).threads, 1U);
}

TEST(EndedThread, WhatWasRefusedOfItIsSaidByTheNextFlush) {
  for (const std::size_t capacity : {std::size_t{0}, kCapacity}) {
    Ended client(capacity);
    if (capacity != 0) {
      EXPECT_EQ(counts_of(client.log).threads, 2U);
      client.other.give_back(client.other.written());
      EXPECT_EQ(counts_of(client.log).threads, 2U) << "it is asked, and has not answered";
    }
    EXPECT_TRUE(client.other.read_until_asked());
    EXPECT_EQ(counts_of(client.log).threads, 1U) << capacity;
    EXPECT_EQ(client.flush(), FASTLOG_ERROR_REFUSED) << capacity;
    EXPECT_EQ(client.flush(), FASTLOG_OK) << "said once";
    EXPECT_EQ(counts_of(client.log).written, 1U);
  }
}

TEST(EndedThread, WhatWasRefusedOfItIsSaidLaterWhereAFlushSaysSomethingElse) {
  Ended client(0);
  EXPECT_TRUE(client.other.read_until_asked());
  EXPECT_EQ(write(client.log, "mine"), FASTLOG_OK);
  EXPECT_EQ(client.flush(50), FASTLOG_ERROR_TIMEOUT);
  EXPECT_TRUE(client.mine.read_until_asked());
  EXPECT_EQ(client.flush(), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(client.flush(), FASTLOG_OK) << "said once";
}

/// Ends behind what the library keeps for its thread, if it was used before the thread logged for the first time.
struct LastWords {
  fastlog_log* log = nullptr;
  int* result = nullptr;
  ~LastWords() {
    if (log == nullptr) return;
    constexpr std::string_view kText = "last words";
    *result = fastlog_write(log, FASTLOG_INFO, kText.data(), kText.size());
    fastlog_options wrong = FASTLOG_OPTIONS_INIT;
    wrong.facility = 99;
    fastlog_log* never = nullptr;
    EXPECT_EQ(fastlog_open(&wrong, &never), FASTLOG_ERROR_ARGUMENT);
    EXPECT_STREQ(fastlog_error(nullptr), "no such facility") << "it is kept in the thread, too";
  }
};
thread_local LastWords last_words;

TEST(Threads, LogWhatTheyHaveToSayWhenTheyEnd) {
  FakeDaemon daemon;
  std::vector<FakeSession> sessions;
  std::thread serving([&] {
    for (int i = 0; i < 3; ++i) {
      sessions.push_back(daemon.accept());
      sessions.back().give_memory(kCapacity);
    }
  });
  const LogPtr log = open_log(daemon);
  int first = -1;
  int last = -1;
  std::thread([&] {
    last_words.log = log.get();
    last_words.result = &last;
    first = write(log, "first");
  }).join();
  serving.join();
  EXPECT_EQ(first, FASTLOG_OK);
  EXPECT_EQ(last, FASTLOG_OK);
  EXPECT_EQ(counts_of(log).written, 2U);
  sessions.clear();
}

}  // namespace
}  // namespace fastlogd::client
