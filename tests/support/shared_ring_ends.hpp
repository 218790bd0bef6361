// Both ends of a ring between two processes, in one.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include <gtest/gtest.h>

#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "ring/shared_producer.hpp"

namespace fastlogd::test {

/// `memory_` is the consumer's, `theirs_` the producer's mapping of the same files.
class SharedRingEnds : public ::testing::Test {
 protected:
  explicit SharedRingEnds(std::size_t capacity) {
    memory_ = *ring::SharedMemory::create(capacity);
    theirs_ = *ring::SharedMemory::open(UniqueFd(::dup(memory_.data_fd())),
                                        UniqueFd(::dup(memory_.consumer_page_fd())), capacity);
    consumer_ = ring::SharedConsumer(memory_.parts());
    producer_ = ring::SharedProducer(theirs_.parts());
  }

  /// False: there is no room.
  bool write(std::string_view text) {
    const auto room = producer_.reserve(text.size());
    if (room.empty()) return false;
    std::memcpy(room.data(), text.data(), text.size());
    static_cast<void>(producer_.commit(text.size()));
    return true;
  }

  ring::SharedMemory memory_;
  ring::SharedMemory theirs_;
  ring::SharedConsumer consumer_;
  ring::SharedProducer producer_;
};

}  // namespace fastlogd::test
