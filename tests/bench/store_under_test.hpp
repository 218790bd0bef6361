// A stream store as the daemon runs it, with one ring, and a producer that fills the ring as an io thread does.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "append/stream_store.hpp"
#include "base/clock.hpp"
#include "record/ingress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::bench {

/// What a benchmark may leave out of a store.
struct Drive {
  bool own_thread = true;  ///< false: the sender is the appender too and calls work_until_stored()
  bool populate_ahead = true;
};

class StoreUnderTest {
 public:
  explicit StoreUnderTest(append::StreamOptions options, Drive drive = {})
      : ring_(ring::ByteRing::create(limits::kRingBytesDefault).value()),
        space_(ring::WakeSignal::create().value()),
        acks_(ring::WakeSignal::create().value()) {
    options.name = "bench" + std::to_string(::getpid());
    store_ = append::StreamStore::open(std::make_shared<const append::StreamOptions>(std::move(options)),
                                       {.files = posix_file_system(),
                                        .runtime_directory = "/dev/shm",
                                        .own_thread = drive.own_thread,
                                        .populate_ahead = drive.populate_ahead})
                 .value();
    store_->attach({.ring = ring_.get(),
                    .loss = &loss_,
                    .space = space_.get(),
                    .progress = &progress_,
                    .acks = acks_.get()});
    store_->start();
    const SourceView source{.transport = Transport::internal, .host = "localhost", .identifier = "bench"};
    const auto room = wait_for_room(ingress::source_definition_bytes(source));
    ingress::write_source_definition(0, source, room.data());
    hand_over(room.size());
  }

  /// One block of `count` records of `record_bytes` each, back to back in `bytes`. Waits while the ring is full, as an
  /// io thread stops reading its socket.
  void send(const char* bytes, std::size_t record_bytes, std::size_t count) {
    send_block({bytes, record_bytes * count}, count, [record_bytes](std::size_t) { return record_bytes; });
  }
  /// The same with records of these lengths, which make up `bytes`.
  void send(std::string_view bytes, std::span<const std::uint32_t> lengths) {
    send_block(bytes, lengths.size(), [lengths](std::size_t i) { return lengths[i]; });
  }
  /// Without a thread of its own: the appender's cycle until that many are readable.
  void work_until_stored(std::uint64_t records) {
    while (stored() < records) {
      if (store_->do_work() == 0) std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  /// Where the entry that was sent last ends.
  [[nodiscard]] std::uint64_t ring_position() const { return ring_->written(); }
  [[nodiscard]] const RingProgress& progress() const { return progress_; }
  /// Notified when something has become readable or durable.
  [[nodiscard]] ring::WakeSignal& acks() { return *acks_; }

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
  template <class LengthOf>
  void send_block(std::string_view bytes, std::size_t count, LengthOf length_of) {
    const std::size_t total = ingress::block_bytes(bytes.size(), count);
    const auto room = wait_for_room(total);
    const ingress::EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(total),
                                      .payload_bytes = static_cast<std::uint32_t>(bytes.size()),
                                      .descriptor_count = static_cast<std::uint32_t>(count),
                                      .receive_time_ns = realtime_ns()};
    std::memcpy(room.data(), &header, sizeof header);
    std::byte* at = room.data() + sizeof header;
    std::memcpy(at, bytes.data(), bytes.size());
    at += ingress::align8(bytes.size());
    std::uint32_t offset = 0;
    for (std::size_t i = 0; i < count; ++i, at += sizeof(ingress::Descriptor)) {
      const ingress::Descriptor descriptor{.slice_offset = offset,
                                           .slice_bytes = static_cast<std::uint32_t>(length_of(i))};
      std::memcpy(at, &descriptor, sizeof descriptor);
      offset += descriptor.slice_bytes;
    }
    hand_over(total);
  }
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
  std::unique_ptr<ring::WakeSignal> acks_;
  ingress::RingLoss loss_;
  RingProgress progress_;
  std::unique_ptr<append::StreamStore> store_;
};

}  // namespace fastlogd::bench
