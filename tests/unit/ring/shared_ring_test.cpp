// The ring between two processes, both ends in one: what an honest producer may rely on, and what any other can't do.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"
#include "support/shared_ring_ends.hpp"

namespace fastlogd::ring {
namespace {

using Step = FrameWalk::Step;

class SharedRing : public test::SharedRingEnds {
 protected:
  static constexpr std::size_t kCapacity = 4096;

  SharedRing() : SharedRing(kCapacity) {}
  explicit SharedRing(std::size_t capacity) : SharedRingEnds(capacity) {}

  /// Everything that is there, payloads cut to their padded length; "broken" if it can't be read.
  std::vector<std::string> read_all(std::size_t room = kCapacity) {
    std::vector<std::string> all;
    std::vector<std::byte> copy(room);
    while (true) {
      const Look look = consumer_.look();
      if (look == Look::empty) return all;
      if (look == Look::broken) return {"broken"};
      FrameWalk walk{std::span(copy).first(consumer_.copy(copy)), consumer_.available()};
      Step step = walk.next();
      for (; step == Step::frame; step = walk.next()) {
        all.emplace_back(reinterpret_cast<const char*>(walk.payload().data()), walk.payload().size());
      }
      if (step == Step::broken) return {"broken"};
      if (walk.consumed() == 0) return {"stuck"};
      consumer_.advance(walk.consumed());
      consumer_.give_back(consumer_.cursor());
    }
  }

  void forge_header(std::size_t at, std::uint32_t bytes, std::uint32_t flags) {
    const FrameHeader header{.bytes = bytes, .flags = flags};
    std::memcpy(theirs_.parts().data + at, &header, sizeof header);
  }
  void forge_position(std::uint64_t position) { theirs_.parts().producer->written.store(position); }
};

TEST_F(SharedRing, HandsOverWhatWasWrittenInOrder) {
  EXPECT_TRUE(read_all().empty());
  ASSERT_TRUE(write("12345678") && write("123456789") && write("1234567890123456"));
  std::vector<std::string> got = read_all();
  ASSERT_EQ(got.size(), 3U);
  got[1].resize(9);  // what is behind it is padding
  EXPECT_EQ(got, (std::vector<std::string>{"12345678", "123456789", "1234567890123456"}));
  EXPECT_TRUE(read_all().empty());
}

TEST_F(SharedRing, ACommitOfLessThanWasReservedHandsOverLess) {
  const auto room = producer_.reserve(1000);
  std::memcpy(room.data(), "abcdefgh", 8);
  static_cast<void>(producer_.commit(8));
  ASSERT_TRUE(write("ijklmnop"));
  EXPECT_EQ(read_all(), (std::vector<std::string>{"abcdefgh", "ijklmnop"}));
}

TEST_F(SharedRing, IsFullAndEmptyAtEveryPositionAndKeepsEveryByte) {
  std::mt19937 random(7);
  std::vector<std::string> sent;
  std::vector<std::string> got;
  for (int round = 0; round < 20000; ++round) {
    std::string text((1 + random() % 200) * 8, static_cast<char>('a' + round % 26));
    if (write(text)) {
      sent.push_back(std::move(text));
    } else {
      EXPECT_GT(producer_.written() - producer_.read() + 2 * text.size() + 16, kCapacity);
      for (auto& one : read_all(1640 + random() % kCapacity)) got.push_back(std::move(one));
    }
  }
  for (auto& one : read_all()) got.push_back(std::move(one));
  EXPECT_EQ(got, sent);
  EXPECT_GT(sent.size(), 1000U);
}

TEST_F(SharedRing, AnEmptyRingHasRoomForTheLargestFrameWhereverItStands) {
  const std::string largest(SharedProducer::payload_bytes_max(kCapacity), 'x');
  for (std::size_t step = 0; step < kCapacity; step += 8) {
    ASSERT_TRUE(write("takes 24 bytes")) << step;
    ASSERT_EQ(read_all().size(), 1U);
    ASSERT_TRUE(write(largest)) << step;
    ASSERT_EQ(read_all(), std::vector<std::string>{largest});
  }
}

TEST_F(SharedRing, WhatIsNotGivenBackIsNotOverwritten) {
  ASSERT_TRUE(write(std::string(1000, 'a')));
  std::array<std::byte, kCapacity> copy;
  ASSERT_EQ(consumer_.look(), Look::data);
  ASSERT_EQ(consumer_.copy(copy), 1008U);
  consumer_.advance(1008);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write(std::string(1000, 'b')));
  EXPECT_FALSE(write(std::string(1000, 'c'))) << "the first record is copied, but not yet safe";
  consumer_.give_back(1008);
  EXPECT_TRUE(write(std::string(1000, 'c')));
}

TEST_F(SharedRing, APadOfAnyLengthIsSkipped) {
  ASSERT_TRUE(write("12345678") && write(std::string(80, 'x')) && write("abcdefgh"));
  forge_header(16, 88, FrameHeader::kPad);
  EXPECT_EQ(read_all(24), (std::vector<std::string>{"12345678", "abcdefgh"}))
      << "also when the copy ends within it";
}

TEST_F(SharedRing, ACopyThatEndsInsideAFrameSaysHowLongTheFrameIs) {
  ASSERT_TRUE(write(std::string(96, 'x')));
  std::array<std::byte, 64> copy;
  ASSERT_EQ(consumer_.look(), Look::data);
  FrameWalk walk{std::span(copy).first(consumer_.copy(copy)), consumer_.available()};
  EXPECT_EQ(walk.next(), Step::end);
  EXPECT_EQ(walk.consumed(), 0U);
  EXPECT_EQ(walk.cut_frame_bytes(), 104U);
}

TEST_F(SharedRing, PositionsThatCannotBeAreFoundOut) {
  ASSERT_TRUE(write(std::string(1000, 'a')));
  ASSERT_EQ(read_all().size(), 1U);
  for (const std::uint64_t position :
       {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{1009}, std::uint64_t{1008 + kCapacity + 8},
        ~std::uint64_t{0} - 7, std::uint64_t{1} << 63}) {
    forge_position(position);
    EXPECT_EQ(consumer_.look(), Look::broken) << position;
  }
  forge_position(1008 + kCapacity);
  EXPECT_EQ(consumer_.look(), Look::data) << "a full ring is none of them";
}

TEST_F(SharedRing, APositionThatGoesBackBehindTheCursorIsFoundOut) {
  ASSERT_TRUE(write(std::string(1000, 'a')));
  ASSERT_EQ(consumer_.look(), Look::data);
  consumer_.advance(1008);
  forge_position(504);
  EXPECT_EQ(consumer_.look(), Look::broken);
}

TEST_F(SharedRing, LengthsThatCannotBeAreFoundOut) {
  ASSERT_TRUE(write(std::string(80, 'a')));
  for (const auto& [bytes, flags] :
       std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 0},
                                                            {7, 0},
                                                            {9, 0},
                                                            {4, 0},
                                                            {96, 0},
                                                            {0xfffffff8, 0},
                                                            {96, FrameHeader::kPad},
                                                            {88, 2},
                                                            {0, 1}}) {
    forge_header(0, bytes, flags);
    EXPECT_EQ(read_all(), std::vector<std::string>{"broken"}) << bytes << " " << flags;
  }
}

TEST_F(SharedRing, ALengthOverTheEndOfTheDataIsFoundOutThoughSoMuchWasCommitted) {
  ASSERT_TRUE(write(std::string(2000, 'a')));
  ASSERT_EQ(read_all().size(), 1U);
  ASSERT_TRUE(write(std::string(2000, 'b')) && write(std::string(1000, 'c')));
  forge_header(2008, 2008 + 1008, 0);
  EXPECT_EQ(read_all(), std::vector<std::string>{"broken"});
}

TEST_F(SharedRing, WhatTheProducerChangesAfterTheCopyChangesNothing) {
  ASSERT_TRUE(write(std::string(80, 'a')));
  std::array<std::byte, kCapacity> copy;
  ASSERT_EQ(consumer_.look(), Look::data);
  const std::size_t n = consumer_.copy(copy);
  forge_header(0, 0xfffffff8, 0);
  std::memset(theirs_.parts().data + 8, 'z', 80);
  FrameWalk walk{std::span(copy).first(n), consumer_.available()};
  ASSERT_EQ(walk.next(), Step::frame);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(walk.payload().data()), 80), std::string(80, 'a'));
}

TEST_F(SharedRing, TheProducersDropsAreTakenOnceAndNeverBack) {
  EXPECT_EQ(consumer_.take_dropped(), 0U);
  producer_.count_dropped(3);
  producer_.count_dropped(2);
  EXPECT_EQ(consumer_.take_dropped(), 5U);
  EXPECT_EQ(consumer_.take_dropped(), 0U);
  theirs_.parts().producer->dropped.store(1);
  EXPECT_EQ(consumer_.take_dropped(), 0U);
  theirs_.parts().producer->dropped.store(~std::uint64_t{0});
  EXPECT_EQ(consumer_.take_dropped(), 0U) << "nobody has dropped so many";
}

TEST_F(SharedRing, TheDoorbellIsRungOncePerSleep) {
  EXPECT_FALSE(producer_.reserve(8).empty());
  EXPECT_FALSE(producer_.commit(8)) << "the consumer is awake";
  EXPECT_FALSE(consumer_.arm()) << "something is there";
  consumer_.disarm();
  ASSERT_EQ(read_all().size(), 1U);
  for (int sleep = 0; sleep < 3; ++sleep) {
    ASSERT_TRUE(consumer_.arm());
    static_cast<void>(producer_.reserve(8));
    EXPECT_TRUE(producer_.commit(8));
    static_cast<void>(producer_.reserve(8));
    EXPECT_FALSE(producer_.commit(8)) << "it has been rung for";
    consumer_.disarm();
    ASSERT_EQ(read_all().size(), 2U);
  }
  consumer_.close();
  EXPECT_TRUE(producer_.closed());
  static_cast<void>(producer_.reserve(8));
  EXPECT_TRUE(producer_.commit(8)) << "so that the producer finds out";
  static_cast<void>(producer_.reserve(8));
  EXPECT_TRUE(producer_.commit(8)) << "also if it did not heed the first one";
  EXPECT_FALSE(consumer_.arm());
  EXPECT_TRUE(producer_.closed()) << "it is closed for good";
  consumer_.disarm();
  EXPECT_TRUE(producer_.closed());
}

TEST_F(SharedRing, AProducerThatWaitsIsWokenForAQuarterOfTheRing) {
  while (write(std::string(504, 'a'))) {
  }
  ASSERT_EQ(consumer_.look(), Look::data);
  ring::ProducerPage& producer = *producer_.parts().producer;
  const ring::ConsumerPage& consumer = *producer_.parts().consumer;
  producer.waiting = 1;
  const std::uint32_t bell = consumer.space_bell;
  consumer_.advance(consumer_.available());
  consumer_.give_back(512);
  EXPECT_EQ(consumer.space_bell, bell) << "an eighth";
  consumer_.give_back(1024);
  EXPECT_NE(consumer.space_bell, bell);
}

TEST_F(SharedRing, AProducerThatWaitsForSpaceIsWoken) {
  while (write(std::string(504, 'a'))) {
  }
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_EQ(read_all().size(), 8U);
  });
  const auto start = std::chrono::steady_clock::now();
  while (!producer_.wait_for_space(504, std::chrono::seconds(60))) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  other.join();
  EXPECT_TRUE(write(std::string(504, 'b')));
}

TEST_F(SharedRing, AWaitForSpaceEndsWhenNobodyReads) {
  while (write(std::string(504, 'a'))) {
  }
  EXPECT_FALSE(producer_.wait_for_space(504, std::chrono::milliseconds(20)));
}

TEST_F(SharedRing, TheProducerCannotMapTheConsumersPageForWriting) {
  const int fd = memory_.consumer_page_fd();
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  EXPECT_LT(::write(fd, "x", 1), 0);
  void* page = const_cast<ConsumerPage*>(theirs_.parts().consumer);
  EXPECT_LT(::mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
  EXPECT_EQ(errno, EACCES);
  EXPECT_LT(::getrandom(page, 8, 0), 0) << "the kernel stores by the producer's rights";
  EXPECT_EQ(errno, EFAULT);
}

TEST_F(SharedRing, TheMemoryKeepsItsSizeWhateverTheProducerTries) {
  EXPECT_NE(::ftruncate(memory_.data_fd(), 0), 0);
  EXPECT_NE(::ftruncate(memory_.data_fd(), 1 << 20), 0);
  EXPECT_NE(::fcntl(memory_.data_fd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST_F(SharedRing, MemoryThatWasPunchedReadsAsBroken) {
  ASSERT_TRUE(write(std::string(80, 'a')));
  ASSERT_EQ(::fallocate(memory_.data_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
  EXPECT_EQ(read_all(), std::vector<std::string>{"broken"});
}

TEST(SharedMemoryOpen, RefusesWhatIsNotSuchARing) {
  const SharedMemory memory = *SharedMemory::create(8192);
  const auto fd = [](int from) { return UniqueFd(::dup(from)); };
  EXPECT_FALSE(SharedMemory::open(fd(memory.data_fd()), fd(memory.consumer_page_fd()), 4096));
  EXPECT_FALSE(SharedMemory::open(fd(memory.data_fd()), fd(memory.consumer_page_fd()), 8191));
  EXPECT_FALSE(SharedMemory::open(fd(memory.consumer_page_fd()), fd(memory.data_fd()), 8192));
  EXPECT_TRUE(SharedMemory::open(fd(memory.data_fd()), fd(memory.consumer_page_fd()), 8192));
}

}  // namespace
}  // namespace fastlogd::ring
