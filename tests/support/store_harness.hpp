// A real stream store with a ring or more, and producers that fill them as io threads would.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "append/stream_store.hpp"
#include "base/clock.hpp"
#include "record/ingress.hpp"
#include "record/progress.hpp"
#include "ring/byte_ring.hpp"
#include "ring/wake_signal.hpp"

namespace fastlogd::test {

/// One io thread's end of a ring.
class RingProducer {
 public:
  explicit RingProducer(std::size_t ring_bytes = limits::kRingBytesMin)
      : ring(ring::ByteRing::create(ring_bytes).value()), space(ring::WakeSignal::create().value()) {}

  /// Before the store starts; it has to end before this does.
  void attach_to(append::StreamStore& store) {
    store.attach({.ring = ring.get(),
                  .loss = &loss,
                  .space = space.get(),
                  .progress = &progress,
                  .acks = space.get()});
    data_ = &store.data_signal();
  }

  void define_source(std::uint32_t slot, const SourceView& source) {
    const auto room = wait_for(ingress::source_definition_bytes(source));
    ingress::write_source_definition(slot, source, room.data());
    hand_over(room.size());
  }

  /// One block of raw messages from the source in `slot`.
  void send(const std::vector<std::string>& messages, std::uint32_t slot = 0,
            std::int64_t time_ns = realtime_ns()) {
    std::size_t bytes = 0;
    for (const auto& message : messages) bytes += message.size();
    const std::size_t plain = ingress::block_bytes(bytes, messages.size());
    const bool numbered = !numbering.client.is_none();
    const std::size_t total = plain + (numbered ? sizeof numbering : 0);
    const auto room = wait_for(total);
    const ingress::EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(total),
                                      .kind = !numbered ? ingress::EntryKind::block
                                              : lent    ? ingress::EntryKind::lent_block
                                                        : ingress::EntryKind::numbered_block,
                                      .payload_bytes = static_cast<std::uint32_t>(bytes),
                                      .descriptor_count = static_cast<std::uint32_t>(messages.size()),
                                      .receive_time_ns = time_ns};
    std::memcpy(room.data(), &header, sizeof header);
    std::byte* at = room.data() + sizeof header;
    std::byte* descriptor_at = at + ingress::align8(bytes);
    std::uint32_t offset = 0;
    for (const auto& message : messages) {
      std::memcpy(at + offset, message.data(), message.size());
      ingress::Descriptor descriptor = like;
      descriptor.slice_offset = offset;
      descriptor.slice_bytes = static_cast<std::uint32_t>(message.size());
      descriptor.source_slot = slot;
      std::memcpy(descriptor_at, &descriptor, sizeof descriptor);
      descriptor_at += sizeof descriptor;
      offset += static_cast<std::uint32_t>(message.size());
    }
    if (numbered) std::memcpy(room.data() + plain, &numbering, sizeof numbering);
    hand_over(total);
  }

  /// "Sync what came before", as an io thread asks for a client.
  void request_sync() {
    const auto room = wait_for(sizeof(ingress::EntryHeader));
    ingress::write_sync_request(room.data());
    hand_over(room.size());
  }

  Numbering numbering;       ///< of the next block; not counted on
  bool lent = false;         ///< a numbered one is
  ingress::Descriptor like;  ///< what the descriptors of the next blocks say besides
  std::unique_ptr<ring::ByteRing> ring;
  std::unique_ptr<ring::WakeSignal> space;
  ingress::RingLoss loss;
  RingProgress progress;

 private:
  std::span<std::byte> wait_for(std::size_t bytes) {
    const std::int64_t deadline = monotonic_ns() + 30 * kNanosPerSecond;
    for (;;) {
      if (const auto room = ring->reserve(bytes); !room.empty()) return room;
      FASTLOGD_CHECK(monotonic_ns() < deadline);  // the store has stopped taking: fail, don't hang
      std::this_thread::yield();
    }
  }
  void hand_over(std::size_t bytes) {
    ring->commit(bytes);
    ring->publish();
    data_->notify();
  }

  ring::WakeSignal* data_ = nullptr;
};

class StoreHarness : public RingProducer {
 public:
  explicit StoreHarness(append::StreamOptions options, FileSystem& files = posix_file_system(),
                        std::size_t ring_bytes = limits::kRingBytesMin,
                        const std::string& runtime = "/dev/shm")
      : StoreHarness(
            append::StreamStore::open(std::make_shared<const append::StreamOptions>(std::move(options)),
                                      {.files = files, .runtime_directory = runtime})
                .value(),
            ring_bytes) {}

  /// With a store that is open and not started.
  explicit StoreHarness(std::unique_ptr<append::StreamStore> opened,
                        std::size_t ring_bytes = limits::kRingBytesMin)
      : RingProducer(ring_bytes), store(std::move(opened)) {
    attach_to(*store);
    store->start();
  }

  /// Until everything sent is published; false after ten seconds.
  [[nodiscard]] bool wait_until_stored(std::uint64_t records) const {
    for (int i = 0; i < 10000; ++i) {
      if (store->counters().stored_records.value() >= records && ring->read() == ring->written()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  void stop() { store->stop(std::chrono::seconds(5)); }

  std::unique_ptr<append::StreamStore> store;
};

}  // namespace fastlogd::test
