#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "fake_daemon.hpp"

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kCapacity = 1 << 20;
constexpr int kFirst = 900;  // records of 1000 bytes: more than a socket takes, less than the ring holds

std::string text_of(std::uint64_t number) {
  std::string text = std::to_string(number) + " ";
  text.resize(1000, 'x');
  return text;
}

/// A client whose daemon has gone without having taken any of kFirst records.
struct Waiting {
  FakeDaemon daemon;
  FakeSession first;
  LogPtr log;
  std::uint64_t ok = 0;

  explicit Waiting(std::uint32_t flags = 0, std::uint32_t wait_ms_max = 0) {
    auto serving = std::async(std::launch::async, [this] {
      first = daemon.accept();
      first.give_memory(kCapacity);
    });
    log = open_log(daemon, flags, wait_ms_max);
    serving.get();
    for (int i = 0; i < kFirst; ++i) EXPECT_EQ(write_next(), FASTLOG_OK);
    first.close();
  }
  /// Numbers are given only to those that are OK.
  int write_next() {
    const int result = write(log, text_of(ok + 1));
    if (result == FASTLOG_OK) ++ok;
    return result;
  }
  /// Writes until the client has been at the next daemon.
  FakeSession reach_next(bool gives_memory, std::size_t capacity = kCapacity) {
    auto serving = std::async(std::launch::async, [&] {
      FakeSession next = daemon.accept();
      gives_memory ? next.give_memory(capacity) : next.refuse_memory();
      return next;
    });
    while (serving.wait_for(milliseconds(0)) != std::future_status::ready) {
      static_cast<void>(write_next());
      std::this_thread::sleep_for(milliseconds(5));
    }
    static_cast<void>(write_next());
    return serving.get();
  }
  void expect_all(const std::vector<Arrived>& arrived) const {
    ASSERT_EQ(arrived.size(), ok);
    for (std::uint64_t i = 0; i < ok; ++i) {
      ASSERT_EQ(arrived[i].number, i + 1);
      ASSERT_EQ(arrived[i].text, text_of(i + 1));
    }
  }
};

/// Reads until everything up to `count` is there.
void read_all(FakeSession& session, std::uint64_t count) {
  while (session.arrived().size() < count && session.read_some(5000)) {
  }
}

TEST(HandOver, NothingIsLostWhereTheNextDaemonGivesNoMemoryAndDoesNotReadForAWhile) {
  Waiting client;
  FakeSession next = client.reach_next(false);
  EXPECT_EQ(next.first_number(), 1U);
  std::this_thread::sleep_for(milliseconds(2100));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.write_next(), FASTLOG_OK);
  EXPECT_EQ(counts_of(client.log).shared, 1U);
  auto flushing = std::async(std::launch::async, [&] { EXPECT_TRUE(next.read_until_asked()); });
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 5000), FASTLOG_OK);
  flushing.get();
  EXPECT_EQ(client.write_next(), FASTLOG_OK);  // over the socket now
  read_all(next, client.ok);
  client.expect_all(next.arrived());
  const fastlog_counts counts = counts_of(client.log);
  EXPECT_EQ(counts.written, client.ok);
  EXPECT_EQ(counts.dropped, 0U);
  EXPECT_EQ(counts.shared, 0U);
}

TEST(HandOver, GoesOnOverTheSocketWhereTheNextDaemonRefusesItAll) {
  Waiting client;
  FakeSession next = client.reach_next(false);
  next.refuse_records();
  auto reading = std::async(std::launch::async, [&] { EXPECT_TRUE(next.read_until_asked()); });
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 5000), FASTLOG_ERROR_REFUSED);
  client.log.reset();
  reading.get();
  client.expect_all(next.arrived());
}

TEST(HandOver, BeginsAnewWhereTheNextDaemonGoesInTheMiddle) {
  Waiting client;
  FakeSession second = client.reach_next(false);
  EXPECT_TRUE(second.read_some(5000));
  second.close();
  FakeSession third = client.reach_next(true, kCapacity / 4);
  EXPECT_EQ(third.first_number(), 1U);
  third.close();
  FakeSession fourth = client.reach_next(true, 2 * kCapacity);
  EXPECT_EQ(fourth.first_number(), 1U);
  client.expect_all(fourth.in_memory());
  EXPECT_EQ(counts_of(client.log).dropped, 0U);
}

TEST(HandOver, ACallThatDropsDoesNotWaitForIt) {
  Waiting client(FASTLOG_DROP);
  FakeSession next = client.reach_next(false);
  int full = 0;
  steady_clock::duration longest{};
  for (int i = 0; i < 500; ++i) {
    const auto begin = steady_clock::now();
    full += client.write_next() == FASTLOG_ERROR_FULL ? 1 : 0;
    longest = std::max(longest, steady_clock::now() - begin);
  }
  EXPECT_GT(full, 0);
  EXPECT_LT(longest, milliseconds(500));
  auto reading = std::async(std::launch::async, [&] { EXPECT_TRUE(next.read_until_asked()); });
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 5000), FASTLOG_OK);
  reading.get();
  client.expect_all(next.arrived());
  EXPECT_EQ(counts_of(client.log).dropped, static_cast<std::uint64_t>(full));
}

TEST(HandOver, ACallThatWaitsDoesSoForAsLongAsItSays) {
  for (const bool gives_memory : {false, true}) {
    Waiting client(0, 30);
    FakeSession next = client.reach_next(gives_memory, kCapacity / 4);
    int result = FASTLOG_OK;
    steady_clock::duration took{};
    while (result == FASTLOG_OK) {
      const auto begin = steady_clock::now();
      result = client.write_next();
      took = steady_clock::now() - begin;
    }
    EXPECT_EQ(result, FASTLOG_ERROR_TIMEOUT);
    EXPECT_GE(took, milliseconds(30));
    EXPECT_LT(took, milliseconds(1000));
    EXPECT_EQ(counts_of(client.log).dropped, 1U);
  }
}

TEST(HandOver, ASmallerRingGetsItAsItIsGivenBack) {
  Waiting client;
  FakeSession next = client.reach_next(true, kCapacity / 4);
  std::atomic<bool> done{false};
  auto consuming = std::async(std::launch::async, [&] {
    std::vector<Arrived> arrived;
    std::uint64_t position = 0;
    while (!done || position != next.written()) {
      const std::uint64_t end = next.written();
      for (Arrived& one : next.in_memory(position, end)) arrived.push_back(std::move(one));
      next.give_back(end);
      position = end;
      static_cast<void>(next.read_some(1));
    }
    return arrived;
  });
  while (counts_of(client.log).written < kFirst + 200) EXPECT_EQ(client.write_next(), FASTLOG_OK);
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 5000), FASTLOG_OK);
  done = true;
  client.expect_all(consuming.get());
  EXPECT_EQ(counts_of(client.log).dropped, 0U);
}

TEST(HandOver, WhatTheNextRingCannotHoldKeepsItsNumberAndIsCounted) {
  FakeDaemon daemon;
  FakeSession session;
  auto serving = std::async(std::launch::async, [&] {
    session = daemon.accept();
    session.give_memory(kCapacity);
  });
  const LogPtr log = open_log(daemon);
  serving.get();
  EXPECT_EQ(write(log, "small"), FASTLOG_OK);
  EXPECT_EQ(write(log, std::string(60000, 'x')), FASTLOG_OK);
  EXPECT_EQ(write(log, "small again"), FASTLOG_OK);
  session.close();
  serving = std::async(std::launch::async, [&] {
    session = daemon.accept();
    session.give_memory(65536);
    EXPECT_TRUE(session.read_until_asked(2));  // the first one says that it has copied
  });
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_ACCEPTED, 5000), FASTLOG_OK);
  serving.get();
  const std::vector<Arrived> found = session.in_memory();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].text + found[1].text + found[2].text, "smallsmall again");
  EXPECT_EQ(found[1].number, 2U);
  EXPECT_EQ(counts_of(log).dropped, 1U);
  EXPECT_EQ(write(log, std::string(60000, 'x')), FASTLOG_ERROR_TOO_LARGE);
}

TEST(HandOver, AnotherThreadThatFlushesDoesItsPart) {
  Waiting client;
  FakeSession next = client.reach_next(false);
  auto flushing = std::async(std::launch::async, [&] {
    EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 100), FASTLOG_ERROR_TIMEOUT);
    return fastlog_flush(client.log.get(), FASTLOG_STORED, 10000);
  });
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_TRUE(next.read_until_asked());
  EXPECT_EQ(flushing.get(), FASTLOG_OK);
  EXPECT_EQ(client.write_next(), FASTLOG_OK);
  EXPECT_EQ(client.write_next(), FASTLOG_OK);
  read_all(next, client.ok);
  client.expect_all(next.arrived());
}

/// A client of a daemon that has given it so much memory; 0: none.
struct Served {
  FakeDaemon daemon;
  FakeSession session;
  LogPtr log;

  explicit Served(std::uint32_t flags = 0, std::size_t capacity = 65536) {
    auto serving = std::async(std::launch::async, [this, capacity] {
      session = daemon.accept();
      capacity == 0 ? session.refuse_memory() : session.give_memory(capacity);
    });
    log = open_log(daemon, flags);
    serving.get();
  }
};

/// Until `count` are refused for want of room.
void drop_some(const LogPtr& log, int count) {
  while (count > 0) count -= write(log, std::string(1000, 'd')) == FASTLOG_ERROR_FULL ? 1 : 0;
}

TEST(HandOver, WhatWasDroppedAndNotHeardOfIsToldToTheNextDaemon) {
  Served client(FASTLOG_DROP);
  auto& [daemon, session, log] = client;
  drop_some(log, 7);
  EXPECT_EQ(session.told_dropped(), 7U);
  session.give_back(session.written());
  session.close();  // without a look at the count
  FakeSession next;
  auto serving = std::async(std::launch::async, [&] {
    next = daemon.accept();
    next.give_memory(65536);
    EXPECT_TRUE(next.read_until_asked(2));  // the first one says that it has copied
  });
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_ACCEPTED, 5000), FASTLOG_OK);
  serving.get();
  EXPECT_EQ(next.told_dropped(), counts_of(log).dropped);
  EXPECT_GE(next.told_dropped(), 7U);
}

TEST(HandOver, WhatADaemonRefusedBeforeItWentIsSaidByTheNextFlush) {
  Served client;
  auto& [daemon, session, log] = client;
  EXPECT_EQ(write(log, "one"), FASTLOG_OK);
  session.give_back(session.written());
  session.refuse(1);
  session.close();
  auto serving = std::async(std::launch::async, [&] {
    session = daemon.accept();
    session.give_memory(65536);
  });
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 5000), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 5000), FASTLOG_OK) << "said once";
  serving.get();
}

TEST(Socket, AFlushDoesNotSpeakForWhatWasOnItsWayWhenTheConnectionBroke) {
  Served client(0, 0);
  auto& [daemon, session, log] = client;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(write(log, "into the socket"), FASTLOG_OK);
  session.close();
  FakeSession next;
  auto serving = std::async(std::launch::async, [&] {
    next = daemon.accept();
    next.refuse_memory();
    EXPECT_TRUE(next.read_until_asked());
  });
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 10000), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(write(log, "this one"), FASTLOG_OK);
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 10000), FASTLOG_OK) << "said once";
  serving.get();
}

TEST(TimeLimits, OfAFlushHoldsWhileAnotherThreadsFlushWaitsForEver) {
  Served client;
  auto& [daemon, session, log] = client;
  EXPECT_EQ(write(log, "one"), FASTLOG_OK);
  auto patient = std::async(std::launch::async, [&] { return fastlog_flush(log.get(), FASTLOG_SYNCED, -1); });
  std::this_thread::sleep_for(milliseconds(100));
  auto hasty = std::async(std::launch::async, [&] { return fastlog_flush(log.get(), FASTLOG_STORED, 100); });
  EXPECT_EQ(hasty.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  EXPECT_TRUE(session.read_until_asked());
  EXPECT_EQ(patient.get(), FASTLOG_OK);
  EXPECT_EQ(hasty.get(), FASTLOG_ERROR_TIMEOUT);
}

/// Closes a session that nobody reads from if the thread that has made it waits for that.
class Watch {
 public:
  explicit Watch(FakeSession& session)
      : watching_(std::async(std::launch::async, [this, &session] {
          for (int i = 0; i < 1000 && !done_; ++i) std::this_thread::sleep_for(milliseconds(10));
          EXPECT_TRUE(done_) << "nobody reads, and nobody shall wait for that";
          if (!done_) session.close();
        })) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    done_ = true;
    watching_.get();
  }

 private:
  std::atomic<bool> done_ = false;
  std::future<void> watching_;
};

TEST(TimeLimits, OfACallHoldInTheMiddleOfAMessage) {
  Served client(FASTLOG_DROP, 0);
  auto& [daemon, session, log] = client;
  const Watch watch(session);
  int refused = 0;
  for (int i = 0; i < 50; ++i) refused += write(log, std::string(60000, 'x')) == FASTLOG_OK ? 0 : 1;
  EXPECT_GT(refused, 30);
  EXPECT_LT(refused, 50) << "the first ones find room";
}

TEST(TimeLimits, HoldBesideAFlushThatFindsNoRoomInTheSocket) {
  Served client(FASTLOG_DROP, 0);
  auto& [daemon, session, log] = client;
  const std::string text(1000, 'x');
  while (write(log, text) == FASTLOG_OK) {  // nobody reads
  }
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 50), FASTLOG_ERROR_TIMEOUT) << "the daemon is there";
  auto flushing =
      std::async(std::launch::async, [&] { return fastlog_flush(log.get(), FASTLOG_STORED, -1); });
  std::this_thread::sleep_for(milliseconds(100));
  {
    const Watch watch(session);
    EXPECT_EQ(write(log, text), FASTLOG_ERROR_FULL);
  }
  session.close();
  EXPECT_NE(flushing.get(), FASTLOG_OK);
}

TEST(TimeLimits, OfAThreadsFirstCallAreItsLogs) {
  constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 2> wanted{{{FASTLOG_DROP, 0}, {0, 50}}};
  for (const auto& [flags, wait_ms_max] : wanted) {
    FakeDaemon daemon(FakeDaemon::Begins::later);
    const LogPtr log = open_log(daemon, flags, wait_ms_max);
    daemon.listen();  // and nobody accepts
    std::thread([&] {
      const auto begin = steady_clock::now();
      EXPECT_EQ(write(log, "one"), FASTLOG_ERROR_CLOSED);
      EXPECT_LT(steady_clock::now() - begin, milliseconds(1500)) << flags;
    }).join();
  }
}

TEST(FullRing, RingsForADaemonThatRestsOnceForWhatItGivesBack) {
  Served client(FASTLOG_DROP);
  auto& [daemon, session, log] = client;
  EXPECT_EQ(write(log, "the first one"), FASTLOG_OK);
  for (int times = 1; times <= 3; ++times) {
    for (int refused = 0; refused < 10;) refused += write(log, "more") == FASTLOG_ERROR_FULL ? 1 : 0;
    while (session.read_some(20)) {
    }
    EXPECT_EQ(session.bells(), times);
    session.give_back(session.written());
  }
}

}  // namespace
}  // namespace fastlogd::client
