// Each way in, with real sockets.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gmock/gmock.h>

#include "fixture.hpp"

namespace fastlogd::ingest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

using Transports = FrontEndTest;

TEST_F(Transports, TakesLinesFromAUnixStream) {
  run();
  const UniqueFd client = stream();
  ASSERT_TRUE(send_all(client, "one\ntwo\n<11>tag[12]: three\n"));
  ASSERT_TRUE(collector_->wait_for(3));
  const auto records = collector_->records();
  EXPECT_THAT(collector_->slices(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(records[0].priority, 14);
  EXPECT_EQ(records[2].priority, 11);
  EXPECT_EQ(records[2].identifier, "tag");
  EXPECT_EQ(records[2].procid, "12");
}

TEST_F(Transports, AttestsTheUnixPeer) {
  run();
  ASSERT_TRUE(send_all(stream(), "hello\n"));
  const UniqueFd sender = datagram();
  ASSERT_TRUE(collector_->wait_for(1));
  ASSERT_TRUE(send_all(sender, "hello"));
  ASSERT_TRUE(collector_->wait_for(2));
  for (const Collected& record : collector_->records()) {
    EXPECT_EQ(record.uid, ::getuid());
    EXPECT_EQ(record.gid, ::getgid());
    EXPECT_EQ(record.pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(record.identifier, "unit_ingest");  // nobody said, so the process's name
  }
}

TEST_F(Transports, TakesTcpAndUdpAndAttestsNobody) {
  run();
  const UniqueFd tcp = connect_ip(port("tcp"), SOCK_STREAM);
  ASSERT_TRUE(send_all(tcp, "<13>1 2026-11-22T22:14:15Z host app 7 ID [a b=\"c\"] text\n"));
  ASSERT_TRUE(collector_->wait_for(1));
  const UniqueFd udp = connect_ip(port("udp"), SOCK_DGRAM);
  ASSERT_TRUE(send_all(udp, "<13>from udp\n"));
  ASSERT_TRUE(collector_->wait_for(2));
  const auto records = collector_->records();
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[0].slice, "[a b=\"c\"] text");
  EXPECT_EQ(records[0].message_start, 10U);
  EXPECT_EQ(records[0].host, "host");
  EXPECT_EQ(records[0].identifier, "app");
  EXPECT_EQ(records[0].procid, "7");
  EXPECT_EQ(records[0].msgid, "ID");
  EXPECT_EQ(records[0].transport, Transport::tcp);
  EXPECT_EQ(records[1].slice, "from udp");
  EXPECT_EQ(records[1].transport, Transport::udp);
  for (const Collected& record : records) EXPECT_EQ(record.pid, kUnknownId);
}

TEST_F(Transports, PutsAMessageTogetherFromSingleBytes) {
  run();
  const UniqueFd client = stream();
  for (const char byte : std::string("<13>app: one by one\nsecond\n")) {
    ASSERT_TRUE(send_all(client, std::string_view(&byte, 1)));
  }
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_THAT(collector_->slices(), ElementsAre("one by one", "second"));
}

TEST_F(Transports, EndsARecordWithTheStream) {
  run();
  {
    ASSERT_TRUE(send_all(stream(), "whole\nunfinished"));
  }
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_THAT(collector_->slices(), ElementsAre("whole", "unfinished"));
  EXPECT_TRUE(eventually([&] { return front_end_->open_connections() == 0; }));
}

TEST_F(Transports, EndsARecordAfterASecondOfSilenceIfThereNeverWasADelimiter) {
  run();
  const UniqueFd never = stream();
  const UniqueFd usually = stream();
  ASSERT_TRUE(send_all(usually, "ended\nbegun, "));
  ASSERT_TRUE(send_all(never, "no delimiter"));
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_THAT(collector_->slices(), ElementsAre("ended", "no delimiter"));
  ASSERT_TRUE(send_all(usually, "ended\n"));
  ASSERT_TRUE(send_all(never, "again"));
  ASSERT_TRUE(collector_->wait_for(4));
  EXPECT_THAT(collector_->slices(), ElementsAre("ended", "no delimiter", "begun, ended", "again"));
}

TEST_F(Transports, HearsASenderWithoutDelimitersAgainBehindAMessageThatWasCut) {
  run();
  const UniqueFd never = stream();
  ASSERT_TRUE(send_all(never, std::string(limits::kRecordBytesDefault + 10'000, 'x')));
  ASSERT_TRUE(collector_->wait_for(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(2000));  // a second of silence, and a tick
  ASSERT_TRUE(send_all(never, "again"));
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_EQ(collector_->slices().back(), "again");
}

TEST_F(Transports, KeepsEveryMessageInOrderOverManyReads) {
  run();
  const UniqueFd client = stream();
  std::string all;
  for (int i = 0; i < 50'000; ++i) {
    all += std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x') + "\n";
  }
  ASSERT_TRUE(send_all(client, all));
  ASSERT_TRUE(collector_->wait_for(50'000));
  const auto records = collector_->records();
  for (int i = 0; i < 50'000; ++i) {
    ASSERT_EQ(records[static_cast<std::size_t>(i)].slice,
              std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x'));
  }
}

TEST_F(Transports, SurvivesMoreMessagesInAReadThanABlockDescribes) {
  run();
  const UniqueFd client = stream();
  const std::string all(200'000, '\n');
  ASSERT_TRUE(send_all(client, all));
  ASSERT_TRUE(send_all(client, "last\n"));
  ASSERT_TRUE(collector_->wait_for(200'001));
  EXPECT_EQ(collector_->records().back().slice, "last");
}

TEST_F(Transports, NamesEverySenderOfMoreThanTheTableHolds) {
  run();
  const UniqueFd client = stream();
  std::string all;
  const int count = 3 * static_cast<int>(limits::kSourcesPerThreadMax);
  for (int i = 0; i < count; ++i) all += "<13>app" + std::to_string(i) + ": " + std::to_string(i) + "\n";
  ASSERT_TRUE(send_all(client, all));
  ASSERT_TRUE(send_all(client, "<13>app0: again\n"));
  ASSERT_TRUE(collector_->wait_for(static_cast<std::uint64_t>(count) + 1));
  const auto records = collector_->records();
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(records[static_cast<std::size_t>(i)].identifier, "app" + std::to_string(i));
    ASSERT_EQ(records[static_cast<std::size_t>(i)].slice, std::to_string(i));
  }
  EXPECT_EQ(records.back().identifier, "app0");
}

TEST_F(Transports, CutsFlagsAndCountsWhatIsTooLong) {
  run(standard_listeners(), {}, LimitOptions{.record_bytes_max = 1024});
  ASSERT_TRUE(send_all(stream(), std::string(5000, 'x') + "\nnext\n"));
  ASSERT_TRUE(collector_->wait_for(2));
  ASSERT_TRUE(send_all(datagram(), std::string(5000, 'y')));
  ASSERT_TRUE(collector_->wait_for(3));
  ASSERT_TRUE(send_all(datagram(), std::string(1024, 'z') + "\n"));
  ASSERT_TRUE(collector_->wait_for(4));
  const auto records = collector_->records();
  EXPECT_EQ(records[0].slice, std::string(1024, 'x'));
  EXPECT_TRUE(records[0].flags.truncated());
  EXPECT_EQ(records[1].slice, "next");
  EXPECT_EQ(records[2].slice, std::string(1024, 'y'));
  EXPECT_TRUE(records[2].flags.truncated());
  EXPECT_EQ(records[3].slice, std::string(1024, 'z'));
  EXPECT_FALSE(records[3].flags.truncated());
  EXPECT_EQ(sum("app", [](const auto& c) { return c.truncated_records.value(); }), 1U);
  EXPECT_EQ(sum("devlog", [](const auto& c) { return c.truncated_records.value(); }), 1U);
}

TEST_F(Transports, TakesTheLargestRecordsOnTheSmallestRing) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin},
      LimitOptions{.record_bytes_max = limits::kRecordBytesMax});
  const UniqueFd client = stream();
  for (const char fill : std::string("abcdefgh")) {
    ASSERT_TRUE(send_all(client, std::string(limits::kRecordBytesMax, fill) + "\n"));
  }
  ASSERT_TRUE(collector_->wait_for(8));
  EXPECT_EQ(collector_->records()[7].slice, std::string(limits::kRecordBytesMax, 'h'));
}

TEST_F(Transports, RefusesATlsHelloWithTheReason) {
  run();
  const UniqueFd client = connect_ip(port("tcp"), SOCK_STREAM);
  ASSERT_TRUE(send_all(client, std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)));
  EXPECT_TRUE(is_closed_by_peer(client));
  const auto not_text = static_cast<std::size_t>(CloseReason::not_text);
  EXPECT_EQ(sum("tcp", [&](const auto& c) { return c.closed_connections[not_text].value(); }), 1U);
  EXPECT_EQ(collector_->count(), 0U);
}

TEST_F(Transports, ClosesAPeerWhoseOctetCountsLie) {
  run();
  const UniqueFd client = stream();
  ASSERT_TRUE(send_all(client, "5 <1>okxx not a count"));
  EXPECT_TRUE(is_closed_by_peer(client));
  const auto abusive = static_cast<std::size_t>(CloseReason::abusive);
  EXPECT_EQ(sum("app", [&](const auto& c) { return c.closed_connections[abusive].value(); }), 1U);
  ASSERT_TRUE(collector_->wait_for(1));
  EXPECT_EQ(collector_->records()[0].slice, "ok");
}

TEST_F(Transports, ClosesConnectionsOverTheLimitAndServesTheOthers) {
  run(standard_listeners(), {}, LimitOptions{.connections_max = 3});
  std::vector<UniqueFd> inside;
  for (int i = 0; i < 3; ++i) inside.push_back(stream());
  ASSERT_TRUE(eventually([&] { return front_end_->open_connections() == 3; }));
  const UniqueFd outside = stream();
  EXPECT_TRUE(is_closed_by_peer(outside));
  for (const UniqueFd& client : inside) ASSERT_TRUE(send_all(client, "inside\n"));
  EXPECT_TRUE(collector_->wait_for(3));
  const auto over = static_cast<std::size_t>(CloseReason::connections_max);
  EXPECT_EQ(sum("app", [&](const auto& c) { return c.closed_connections[over].value(); }), 1U);
}

TEST_F(Transports, ClosesUninvitedDescriptorsAndKeepsTheDatagram) {
  run();
  const UniqueFd client = datagram();
  const UniqueFd gift(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  alignas(cmsghdr) std::array<char, CMSG_SPACE(3 * sizeof(int))> control{};
  char text[] = "with a gift";
  iovec buffer{.iov_base = text, .iov_len = sizeof text - 1};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(3 * sizeof(int));
  for (std::size_t i = 0; i < 3; ++i) {
    const int fd = gift.get();
    std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
  }
  ASSERT_TRUE(send_all(client, "warm up"));
  ASSERT_TRUE(collector_->wait_for(1));
  const auto open_descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = open_descriptors();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(::sendmsg(client.get(), &message, 0), 11);
  ASSERT_TRUE(collector_->wait_for(21));
  EXPECT_EQ(collector_->records()[20].slice, "with a gift");
  EXPECT_EQ(collector_->records()[20].pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(sum("devlog", [](const auto& c) { return c.descriptors_closed.value(); }), 60U);
}

TEST_F(Transports, TellsDatagramSendersApartByAttestedPid) {
  run();
  std::vector<std::uint32_t> pids;
  for (int i = 0; i < 5; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const UniqueFd client = datagram();
      ::_exit(send_all(client, "<13>app[1]: hello") ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    pids.push_back(static_cast<std::uint32_t>(child));
  }
  ASSERT_TRUE(collector_->wait_for(5));
  const auto records = collector_->records();
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(records[i].pid, pids[i]);
    EXPECT_EQ(records[i].procid, "1");
  }
}

TEST_F(Transports, StopsReadingWhenTheRingIsFullAndGoesOnWithoutLoss) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  constexpr int kMessages = 60'000;
  std::thread sender([&] {
    const UniqueFd client = stream();
    for (int i = 0; i < kMessages; ++i) {
      if (!send_all(client, std::string(100, 'x') + std::to_string(i) + "\n")) return;
    }
  });
  std::thread datagrams([&] {
    const UniqueFd client = datagram();
    for (int i = 0; i < 2000; ++i) {
      if (!send_all(client, "datagram")) return;  // blocks while nobody reads
    }
  });
  EXPECT_TRUE(eventually(
      [&] { return sum("app", [](const auto& c) { return c.backpressure_pauses.value(); }) > 0; }));
  collector_->pause(false);
  sender.join();
  datagrams.join();
  ASSERT_TRUE(collector_->wait_for(kMessages + 2000));
  int next = 0;
  for (const std::string& slice : collector_->slices()) {
    if (slice == "datagram") continue;
    ASSERT_EQ(slice, std::string(100, 'x') + std::to_string(next++));
  }
  EXPECT_EQ(next, kMessages);
}

TEST_F(Transports, CountsWhatTheKernelDroppedOfUdp) {
  run(standard_listeners(), IoOptions{.threads = 1, .ring_bytes = limits::kRingBytesMin});
  collector_->pause(true);
  const UniqueFd client = connect_ip(port("udp"), SOCK_DGRAM);
  constexpr std::uint64_t kSent = 60'000;
  const std::string text(1000, 'u');
  for (std::uint64_t i = 0; i < kSent; ++i) ASSERT_TRUE(send_all(client, text));
  collector_->pause(false);
  const auto lost = [&] {
    return sum("udp", [](const auto& c) { return c.kernel_dropped_records.value(); });
  };
  EXPECT_TRUE(eventually([&] { return collector_->count() + lost() == kSent; }))
      << collector_->count() << " " << lost();
  EXPECT_GT(lost(), 0U);
  const auto& by_reason = front_end_->rings("main")[0].loss->by_reason;
  EXPECT_EQ(by_reason[static_cast<std::size_t>(ingress::LossReason::kernel_udp)].value(), lost());
}

TEST_F(Transports, SpreadsConnectionsOverThreadsAndKeepsEachInOrder) {
  run(standard_listeners(), IoOptions{.threads = 3, .ring_bytes = limits::kRingBytesMin});
  std::vector<std::thread> senders;
  for (int s = 0; s < 9; ++s) {
    senders.emplace_back([this, s] {
      const UniqueFd client = stream();
      for (int i = 0; i < 3000; ++i) {
        if (!send_all(client, std::to_string(s) + " " + std::to_string(i) + "\n")) return;
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  ASSERT_TRUE(collector_->wait_for(27'000));
  std::array<int, 9> next{};
  std::array<unsigned, 3> by_thread{};
  for (const Collected& record : collector_->records()) {
    const auto sender = static_cast<std::size_t>(record.slice[0] - '0');
    ASSERT_EQ(record.slice.substr(2), std::to_string(next[sender]++));
    ++by_thread[record.thread];
  }
  for (const unsigned records : by_thread) EXPECT_EQ(records, 9000U);
}

}  // namespace
}  // namespace fastlogd::ingest
