// A ring whose consumer has died, taken up by another one.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"
#include "support/shared_ring_ends.hpp"

namespace fastlogd::ring {
namespace {

constexpr std::size_t kCapacity = 4096;

/// A producer, and what a consumer leaves behind with somebody.
class SharedResume : public test::SharedRingEnds {
 protected:
  SharedResume() : SharedRingEnds(kCapacity) {
    data_.reset(::dup(memory_.data_fd()));
    page_.reset(::dup(memory_.own_page_fd()));
  }

  /// The next record, eight bytes of it; empty: there is none.
  static std::string read(SharedConsumer& consumer) {
    if (consumer.look() != Look::data) return "";
    std::vector<std::byte> copy(16);
    FrameWalk walk{std::span(copy).first(consumer.copy(copy)), consumer.available()};
    if (walk.next() != FrameWalk::Step::frame) return "broken";
    std::string text(reinterpret_cast<const char*>(walk.payload().data()), walk.payload().size());
    walk.accept();
    consumer.advance(walk.consumed());
    return text;
  }

  void die() { memory_ = SharedMemory(); }

  UniqueFd data_;
  UniqueFd page_;
};

TEST_F(SharedResume, GoesOnBehindWhatWasGivenBack) {
  for (const char* text : {"record 1", "record 2", "record 3"}) ASSERT_TRUE(write(text));
  EXPECT_EQ(read(consumer_), "record 1");
  consumer_.give_back(consumer_.cursor());
  EXPECT_EQ(read(consumer_), "record 2") << "copied, and not given back";
  die();
  ASSERT_TRUE(write("record 4")) << "the producer goes on meanwhile";

  auto second = SharedMemory::resume(std::move(page_), std::move(data_));
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->parts().capacity, kCapacity);
  SharedConsumer successor = SharedConsumer::resume(second->parts());
  for (const char* text : {"record 2", "record 3", "record 4"}) EXPECT_EQ(read(successor), text);
  EXPECT_EQ(read(successor), "");
  successor.give_back(successor.cursor());
  EXPECT_EQ(producer_.read(), producer_.written()) << "the producer's view of the same page";
}

TEST_F(SharedResume, TellsOfDropsOnce) {
  producer_.count_dropped(3);
  EXPECT_EQ(consumer_.take_dropped(), 3U);
  die();
  producer_.count_dropped(2);
  const auto second = SharedMemory::resume(std::move(data_), std::move(page_));
  ASSERT_TRUE(second);
  SharedConsumer successor = SharedConsumer::resume(second->parts());
  EXPECT_EQ(successor.take_dropped(), 2U);
  EXPECT_EQ(successor.take_dropped(), 0U);
}

TEST_F(SharedResume, SleepsAndWakesAgainThoughItsPredecessorSlept) {
  ASSERT_TRUE(consumer_.arm());
  die();
  const auto second = SharedMemory::resume(std::move(data_), std::move(page_));
  SharedConsumer successor = SharedConsumer::resume(second->parts());
  ASSERT_TRUE(successor.arm());
  const auto room = producer_.reserve(8);
  ASSERT_FALSE(room.empty());
  EXPECT_TRUE(producer_.commit(8)) << "ring the doorbell";
}

TEST_F(SharedResume, KeepsTheNote) {
  const std::string_view note = "whose it is";
  std::memcpy(memory_.parts().consumer->note.data(), note.data(), note.size());
  die();
  const auto second = SharedMemory::resume(std::move(data_), std::move(page_));
  EXPECT_EQ(std::memcmp(second->parts().consumer->note.data(), note.data(), note.size()), 0);
  EXPECT_EQ(std::memcmp(theirs_.parts().consumer->note.data(), note.data(), note.size()), 0);
}

UniqueFd memory_file(std::size_t bytes, unsigned seals) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

TEST_F(SharedResume, RefusesWhatIsNoRingOrCouldShrink) {
  constexpr unsigned kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  EXPECT_TRUE(SharedMemory::resume(memory_file(4096, kSeals), memory_file(8192, kSeals)));
  EXPECT_FALSE(SharedMemory::resume(memory_file(4096, kSeals), memory_file(8192, F_SEAL_GROW | F_SEAL_SEAL)));
  EXPECT_FALSE(SharedMemory::resume(memory_file(4096, 0), memory_file(8192, kSeals)));
  EXPECT_FALSE(SharedMemory::resume(memory_file(4096, kSeals), memory_file(4096 + 12288, kSeals)));
  EXPECT_FALSE(SharedMemory::resume(memory_file(4096, kSeals), memory_file(4096, kSeals)));
  EXPECT_FALSE(SharedMemory::resume(memory_file(0, kSeals), memory_file(0, kSeals)));
  EXPECT_FALSE(SharedMemory::resume(UniqueFd(::dup(0)), UniqueFd(::dup(1))));
  EXPECT_FALSE(SharedMemory::resume(UniqueFd(), UniqueFd()));
}

}  // namespace
}  // namespace fastlogd::ring
