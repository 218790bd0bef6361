#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "fake_daemon.hpp"

namespace {

/// Of this thread, until there is no memory for the next one; negative: there always is.
thread_local int allocations_left = -1;

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const at = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}

}  // namespace

// Not inlined: the compiler would see free() of what new returned, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* at) noexcept {
  std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::align_val_t) noexcept {
  std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::size_t, std::align_val_t) noexcept {
  std::free(at);
}

namespace fastlogd::client {
namespace {

/// Answers everybody until it ends.
class Serving {
 public:
  Serving(FakeDaemon& daemon, bool gives_memory)
      : thread_([this, &daemon, gives_memory] {
          while (!done_) {
            FakeSession session = daemon.accept(20);
            if (!session) continue;
            gives_memory ? session.give_memory(65536) : session.refuse_memory();
            sessions_.push_back(std::move(session));
          }
        }) {}
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() { end(); }
  std::vector<FakeSession>& end() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
    return sessions_;
  }

 private:
  std::atomic<bool> done_{false};
  std::vector<FakeSession> sessions_;
  std::thread thread_;
};

TEST(NoMemory, AThreadsFirstCallSaysSoAndTheRecordIsCounted) {
  FakeDaemon daemon;
  Serving serving(daemon, true);
  const LogPtr log = open_log(daemon);
  std::uint64_t ok = 0;
  int calls = 0;
  int without_memory = 0;
  for (bool enough = false; !enough && calls < 200;) {
    std::thread([&] {
      int results[2] = {};
      allocations_left = calls / 2;
      results[0] = fastlog_write(log.get(), FASTLOG_INFO, "one", 3);
      enough = allocations_left > 0;
      if (fastlog_reserve(log.get(), FASTLOG_INFO, 10, &results[1]) != nullptr) {
        results[1] = fastlog_commit(log.get(), 10);
      }
      allocations_left = -1;
      for (const int result : results) {
        ++calls;
        ok += result == FASTLOG_OK ? 1 : 0;
        without_memory += result == FASTLOG_ERROR_MEMORY ? 1 : 0;
        EXPECT_TRUE(result == FASTLOG_OK || result == FASTLOG_ERROR_MEMORY || result == FASTLOG_ERROR_CLOSED)
            << result;
      }
    }).join();
  }
  EXPECT_GT(ok, 0U);
  EXPECT_GT(without_memory, 0);
  EXPECT_EQ(counts_of(log).written, ok);
  EXPECT_EQ(counts_of(log).dropped, static_cast<std::uint64_t>(calls) - ok);
}

TEST(NoMemory, ACallOverTheSocketSaysSoAndTheNextOneIsWhole) {
  FakeDaemon daemon;
  Serving serving(daemon, false);
  const LogPtr log = open_log(daemon);
  const std::string text(2000, 'x');
  EXPECT_EQ(write(log, "first"), FASTLOG_OK);
  for (int left = 0; left < 2; ++left) {  // for the record, and for the message that it is sent in
    allocations_left = left;
    const int result = write(log, text);
    allocations_left = -1;
    EXPECT_EQ(result, FASTLOG_ERROR_MEMORY);
  }
  EXPECT_EQ(write(log, text), FASTLOG_OK);
  FakeSession& session = serving.end().front();
  while (session.arrived().size() < 2 && session.read_some(5000)) {
  }
  ASSERT_EQ(session.arrived().size(), 2U);
  EXPECT_EQ(session.arrived()[1].number, 2U);
  EXPECT_EQ(session.arrived()[1].text, text);
  EXPECT_EQ(counts_of(log).dropped, 2U);
}

TEST(NoMemory, WhatIsInTheRingIsTheDaemonsThoughThereIsNoneToConnectAgain) {
  FakeDaemon daemon;
  Serving serving(daemon, true);
  const LogPtr log = open_log(daemon);
  EXPECT_EQ(write(log, "one"), FASTLOG_OK);
  serving.end().front().close();
  allocations_left = 0;
  int results[100];
  for (int& result : results) result = write(log, "more");
  allocations_left = -1;
  for (const int result : results) EXPECT_EQ(result, FASTLOG_OK);
  EXPECT_EQ(counts_of(log).written, 101U);
  EXPECT_EQ(counts_of(log).dropped, 0U);
}

}  // namespace
}  // namespace fastlogd::client
