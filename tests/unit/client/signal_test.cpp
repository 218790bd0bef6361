#include <pthread.h>

// Single steps: of x86, and not into the thread sanitizer, which a handler must not interrupt everywhere.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define FASTLOGD_SINGLE_STEPS
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef FASTLOGD_SINGLE_STEPS
#endif
#endif
#ifdef FASTLOGD_SINGLE_STEPS
#include <x86intrin.h>
#endif

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include "fake_daemon.hpp"

namespace fastlogd::client {
namespace {

constexpr std::size_t kCapacity = 262144;
constexpr int kFlushMs = 2000;  // much more than it takes to send a signal

fastlog_log* handlers_log = nullptr;
std::atomic<int> handled{0};
std::atomic<int> handlers_ok{0};

void log_something(int) {
  const int result = fastlog_write(handlers_log, FASTLOG_INFO, "in a handler", 12);
  if (result == FASTLOG_OK) handlers_ok.fetch_add(1);
  handled.fetch_add(1);
}

/// While it lives, the signal logs into `log`.
class Handler {
 public:
  explicit Handler(const LogPtr& log, int signal = SIGUSR1) : signal_(signal) {
    handlers_log = log.get();
    handled = handlers_ok = 0;
    struct sigaction action{};
    action.sa_handler = log_something;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal_, &action, &before_);
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { ::sigaction(signal_, &before_, nullptr); }

 private:
  const int signal_;
  struct sigaction before_{};
};

/// Who waits for itself can't be joined.
void expect_to_end(std::future<void>& work) {
  if (work.wait_for(std::chrono::seconds(20)) == std::future_status::ready) return work.get();
  std::fputs("a thread and its signal handler wait for each other\n", stderr);
  std::_Exit(1);
}

TEST(SignalHandler, IsRefusedWhileItsThreadWaitsForADaemonThatDoesNotAnswer) {
  FakeDaemon daemon(FakeDaemon::Begins::later);
  std::promise<pthread_t> ready;
  auto working = std::async(std::launch::async, [&] {
    LogPtr log = open_log(daemon);
    daemon.listen();  // and nobody accepts
    const Handler handler(log);
    ready.set_value(::pthread_self());
    EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, kFlushMs), FASTLOG_ERROR_CLOSED);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(counts_of(log).dropped, 1U);
  });
  const pthread_t thread = ready.get_future().get();
  EXPECT_TRUE(daemon.wait_for_a_knock());  // the flush has connected, and goes on for long
  ::pthread_kill(thread, SIGUSR1);
  expect_to_end(working);
}

TEST(SignalHandler, WhatIsRefusedDuringAFlushIsToldToTheDaemon) {
  FakeDaemon daemon;
  std::promise<pthread_t> ready;
  auto working = std::async(std::launch::async, [&] {
    LogPtr log = open_log(daemon);
    const Handler handler(log);
    EXPECT_EQ(write(log, "before"), FASTLOG_OK);
    ready.set_value(::pthread_self());
    EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, kFlushMs), FASTLOG_ERROR_TIMEOUT);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(handlers_ok, 0);
    EXPECT_EQ(write(log, "after"), FASTLOG_OK);
    EXPECT_EQ(counts_of(log).dropped, 1U);
  });
  FakeSession session = daemon.accept();
  session.give_memory(kCapacity);
  session.answer_nothing();
  const pthread_t thread = ready.get_future().get();
  EXPECT_TRUE(session.read_until_asked());
  ::pthread_kill(thread, SIGUSR1);
  expect_to_end(working);
  EXPECT_EQ(session.told_dropped(), 1U);
  EXPECT_EQ(session.in_memory().size(), 2U);
}

TEST(SignalHandler, WhatIsRefusedInAThreadsLastCallIsToldToTheDaemon) {
  FakeDaemon daemon;
  FakeSession first;
  FakeSession second;
  auto serving = std::async(std::launch::async, [&] {
    for (FakeSession* session : {&first, &second}) {
      *session = daemon.accept();
      session->give_memory(kCapacity);
    }
  });
  LogPtr log = open_log(daemon);
  const Handler handler(log);
  const auto log_once = [&log] {
    int result = FASTLOG_OK;
    char* const room = fastlog_reserve(log.get(), FASTLOG_INFO, 3, &result);
    ASSERT_NE(room, nullptr);
    std::memcpy(room, "one", 3);
    ::raise(SIGUSR1);
    EXPECT_EQ(fastlog_commit(log.get(), 3), FASTLOG_OK);
  };
  log_once();
  std::thread(log_once).join();
  serving.get();
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(second.told_dropped(), 1U) << "its thread has ended";
  for (FakeSession* session : {&first, &second}) session->give_back(session->written());
  log.reset();
  EXPECT_EQ(first.told_dropped(), 1U) << "its log is closed";
}

#ifdef FASTLOGD_SINGLE_STEPS
/// While it lives, each instruction of this thread is followed by a SIGTRAP. The handler itself runs without.
class InSingleSteps {
 public:
  InSingleSteps() { __writeeflags(__readeflags() | kTrap); }
  InSingleSteps(const InSingleSteps&) = delete;
  InSingleSteps& operator=(const InSingleSteps&) = delete;
  ~InSingleSteps() { __writeeflags(__readeflags() & ~kTrap); }

 private:
  static constexpr unsigned long long kTrap = 0x100;
};

/// The handler's log is another one than the one that is interrupted, behind any instruction of a call.
TEST(SignalHandler, AndTheThreadItHasInterruptedWriteIntoTheirOwnLogs) {
  std::array<FakeDaemon, 2> daemons;
  std::array<FakeSession, 2> sessions;
  std::array<LogPtr, 2> logs;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    auto serving = std::async(std::launch::async, [&] {
      sessions[i] = daemons[i].accept();
      sessions[i].give_memory(kCapacity);
    });
    logs[i] = open_log(daemons[i], FASTLOG_DROP);
    serving.get();
  }
  const Handler handler(logs[1], SIGTRAP);
  for (int i = 0; i < 3; ++i) {
    const InSingleSteps steps;
    static_cast<void>(write(logs[0], "mine"));
  }
  EXPECT_GT(handlers_ok, 100);
  const std::vector<Arrived> mine = sessions[0].in_memory();
  EXPECT_EQ(mine.size(), 3U);
  for (const Arrived& one : mine) EXPECT_EQ(one.text, "mine");
  for (const Arrived& one : sessions[1].in_memory()) ASSERT_EQ(one.text, "in a handler");
  EXPECT_EQ(counts_of(logs[1]).written, static_cast<std::uint64_t>(handlers_ok));
  for (FakeSession& session : sessions) session.give_back(session.written());
}
#endif

TEST(SignalHandler, FindsItsThreadsRingWholeWhateverItHasInterrupted) {
  FakeDaemon daemon;
  std::promise<pthread_t> ready;
  std::atomic<bool> done{false};
  int written = 0;
  auto working = std::async(std::launch::async, [&] {
    LogPtr log = open_log(daemon);
    const Handler handler(log);
    ready.set_value(::pthread_self());
    while (!done) {
      written += write(log, "mine") == FASTLOG_OK ? 1 : 0;
      static_cast<void>(fastlog_flush(log.get(), FASTLOG_STORED, 100));
    }
    const fastlog_counts counts = counts_of(log);
    EXPECT_EQ(counts.written, static_cast<std::uint64_t>(written + handlers_ok));
    EXPECT_EQ(counts.dropped, static_cast<std::uint64_t>(handled - handlers_ok));
  });
  FakeSession session = daemon.accept();
  session.give_memory(kCapacity);
  const pthread_t thread = ready.get_future().get();
  for (int round = 0; round < 100; ++round) {
    session.close();
    for (int i = 0; i < 3; ++i) ::pthread_kill(thread, SIGUSR1);
    session = daemon.accept();
    ASSERT_TRUE(session);
    session.give_memory(kCapacity);
    for (int i = 0; i < 3; ++i) ::pthread_kill(thread, SIGUSR1);
  }
  done = true;
  for (int i = 0; i < 3; ++i) ::pthread_kill(thread, SIGUSR1);
  session.close();
  while (FakeSession last = daemon.accept(200)) last.give_memory(kCapacity);
  expect_to_end(working);
}

}  // namespace
}  // namespace fastlogd::client
