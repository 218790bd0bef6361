#include <atomic>
#include <future>
#include <string>

#include "fake_daemon.hpp"

namespace fastlogd::client {
namespace {

constexpr int kMany = 3000;  // refusals, of which a socket holds a tenth

/// A client without shared memory, whose daemon refuses each record.
struct Refused {
  FakeDaemon daemon;
  FakeSession session;
  LogPtr log;
  std::future<void> reading;

  Refused() {
    auto serving = std::async(std::launch::async, [this] {
      session = daemon.accept();
      session.refuse_memory();
      session.refuse_records();
    });
    log = open_log(daemon, 0, 3000);
    serving.get();
  }
  Refused(const Refused&) = delete;
  Refused& operator=(const Refused&) = delete;
  ~Refused() {
    log.reset();
    if (reading.valid()) reading.get();
  }
  void read_always() {
    reading = std::async(std::launch::async, [this] {
      while (session.read_some(20000)) {
      }
    });
  }
  /// True: all were sent.
  [[nodiscard]] bool write_many() const {
    for (int i = 0; i < kMany; ++i) {
      if (write(log, "refused") != FASTLOG_OK) return false;
    }
    return true;
  }
};

TEST(Refusals, AreReadWhileRecordsAreSentAndSaidByTheNextFlush) {
  Refused client;
  client.read_always();
  EXPECT_TRUE(client.write_many());
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 10000), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(fastlog_flush(client.log.get(), FASTLOG_STORED, 10000), FASTLOG_OK) << "said once";
  EXPECT_EQ(counts_of(client.log).dropped, 0U);
}

TEST(Refusals, AreReadAlthoughThereIsAlwaysRoomToSend) {
  Refused client;
  for (int i = 0; i < kMany && client.session; ++i) {
    EXPECT_EQ(write(client.log, "refused"), FASTLOG_OK);
    EXPECT_TRUE(client.session.read_some(5000));
  }
}

TEST(Refusals, AreReadWhileOneThreadSendsAndAnotherWaitsToAsk) {
  Refused client;
  client.read_always();
  std::atomic<bool> done{false};
  auto flushing = std::async(std::launch::async, [&] {
    int refused = 0;
    while (!done) {
      const int result = fastlog_flush(client.log.get(), FASTLOG_STORED, 10000);
      EXPECT_TRUE(result == FASTLOG_OK || result == FASTLOG_ERROR_REFUSED) << result;
      refused += result == FASTLOG_ERROR_REFUSED ? 1 : 0;
    }
    return refused;
  });
  EXPECT_TRUE(client.write_many());
  done = true;
  EXPECT_GT(flushing.get(), 0);
}

TEST(Refusals, AreSaidByTheNextFlushAlthoughOneThatHeardThemHadNoTime) {
  Refused client;
  auto& [daemon, session, log, reading] = client;
  EXPECT_EQ(write(log, "refused"), FASTLOG_OK);
  EXPECT_TRUE(session.read_some(5000));
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 50), FASTLOG_ERROR_TIMEOUT);
  EXPECT_TRUE(session.read_until_asked());
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 5000), FASTLOG_ERROR_REFUSED);
  EXPECT_EQ(fastlog_flush(log.get(), FASTLOG_STORED, 5000), FASTLOG_OK) << "said once";
}

}  // namespace
}  // namespace fastlogd::client
