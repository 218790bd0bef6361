// A stream store as the daemon runs it, with one ring, and a producer that fills the ring as an io thread does.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "append/stream_store.hpp"
#include "base/clock.hpp"
#include "record/ingress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::bench {

class StoreUnderTest {
 public:
  explicit StoreUnderTest(append::StreamOptions options)
      : ring_(ring::ByteRing::create(limits::kRingBytesDefault).value()),
        space_(ring::WakeSignal::create().value()) {
    options.name = "bench" + std::to_string(::getpid());
    store_ = append::StreamStore::open(std::make_shared<const append::StreamOptions>(std::move(options)),
                                       {.files = posix_file_system(), .runtime_directory = "/dev/shm"})
                 .value();
    store_->attach({.ring = ring_.get(), .loss = &loss_, .space = space_.get()});
    store_->start();
    const SourceView source{.transport = Transport::internal, .host = "localhost", .identifier = "bench"};
    const auto room = wait_for_room(ingress::source_definition_bytes(source));
    ingress::write_source_definition(0, source, room.data());
    hand_over(room.size());
  }

  /// One block of `count` records of `record_bytes` each, back to back in `bytes`. Waits while the ring is full, as an
  /// io thread stops reading its socket.
  void send(const char* bytes, std::size_t record_bytes, std::size_t count) {
    const std::size_t payload = record_bytes * count;
    const std::size_t total = ingress::block_bytes(payload, count);
    const auto room = wait_for_room(total);
    const ingress::EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(total),
                                      .payload_bytes = static_cast<std::uint32_t>(payload),
                                      .descriptor_count = static_cast<std::uint32_t>(count),
                                      .receive_time_ns = realtime_ns()};
    std::memcpy(room.data(), &header, sizeof header);
    std::byte* at = room.data() + sizeof header;
    std::memcpy(at, bytes, payload);
    at += ingress::align8(payload);
    for (std::size_t i = 0; i < count; ++i, at += sizeof(ingress::Descriptor)) {
      const ingress::Descriptor descriptor{.slice_offset = static_cast<std::uint32_t>(i * record_bytes),
                                           .slice_bytes = static_cast<std::uint32_t>(record_bytes)};
      std::memcpy(at, &descriptor, sizeof descriptor);
    }
    hand_over(total);
  }

  [[nodiscard]] std::uint64_t stored() const { return store_->counters().stored_records.value(); }
  /// Until that many are readable; throws when nothing has moved for 30 s.
  void wait_until_stored(std::uint64_t records) const {
    std::uint64_t last = stored();
    std::int64_t moved_ns = monotonic_ns();
    while (stored() < records) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (const std::uint64_t now = stored(); now != last) {
        last = now;
        moved_ns = monotonic_ns();
      }
      if (monotonic_ns() - moved_ns > 30 * kNanosPerSecond)
        throw std::runtime_error("the store stands still");
    }
  }
  [[nodiscard]] append::StreamStore& store() { return *store_; }
  void stop() { store_->stop(std::chrono::seconds(30)); }

 private:
  std::span<std::byte> wait_for_room(std::size_t bytes) {
    for (;;) {
      if (const auto room = ring_->reserve(bytes); !room.empty()) [[likely]]
        return room;
      space_->arm();
      if (!ring_->has_space(bytes)) space_->wait(std::chrono::milliseconds(100));
      space_->disarm();
    }
  }
  void hand_over(std::size_t bytes) {
    ring_->commit(bytes);
    ring_->publish();
    store_->data_signal().notify();
  }

  std::unique_ptr<ring::ByteRing> ring_;
  std::unique_ptr<ring::WakeSignal> space_;
  ingress::RingLoss loss_;
  std::unique_ptr<append::StreamStore> store_;
};

}  // namespace fastlogd::bench
