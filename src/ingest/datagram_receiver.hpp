// A Unix datagram or UDP listener's socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "ingest/datagram_slab.hpp"
#include "ingest/kernel_drops.hpp"

namespace fastlogd::ingest {

/// Receives a batch into the slab, packs it into one ring block, commits once. The copy is the stated
/// exception: how long datagrams are is known only when they are there, and a slot of the largest size each
/// would waste the ring. A batch that the ring has no room for waits in the slab, and nothing more is read: a
/// Unix sender blocks, a UDP sender's datagrams are dropped by the kernel, which counts them. Thread: its io
/// thread.
class DatagramReceiver final : public Channel {
 public:
  DatagramReceiver(IoThread& thread, ListenerPtr listener, UniqueFd fd, std::unique_ptr<DatagramSlab> slab);

  void ready() override;
  [[nodiscard]] Polled poll() override;
  void tick(std::int64_t monotonic_now_ns) override;
  void drain(CloseReason reason) override;
  void abandon() override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Kind kind() const override { return Kind::datagrams; }

 private:
  /// A datagram of the batch, as far as it is a message.
  struct Pending {
    std::string_view text;  ///< in the slab, without a trailing delimiter
    std::uint32_t uid = kUnknownId;
    std::uint32_t gid = kUnknownId;
    std::uint32_t pid = kUnknownId;
    bool truncated = false;
  };

  enum class Took : std::uint8_t {
    nothing,
    some,
    ring_full,  ///< a batch waits for room
    all,        ///< draining: there is no more
  };

  /// Nothing that was received is left in the slab but with ring_full.
  [[nodiscard]] Took take_batches(int batches_max);
  void complain_of_receive();
  [[nodiscard]] bool is_end(std::size_t slot) const;
  [[nodiscard]] std::uint64_t take_unread();
  void take_batch(std::size_t datagrams);
  bool pack();
  /// How many of the pending fit into one block, and their bytes.
  struct Extent {
    std::size_t messages = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] Extent next_block(const BlockWriter& writer) const;
  void pack_block(BlockWriter& writer, Extent extent);
  void adopt_limits();
  void count_kernel_drops(std::uint32_t total);
  void end();

  std::unique_ptr<DatagramSlab> slab_;
  std::array<Pending, limits::kDatagramBatch> pending_;
  std::size_t pending_count_ = 0;
  std::size_t pending_next_ = 0;
  SourceHint hint_;
  DropMeter drops_;
  bool draining_ = false;
};

}  // namespace fastlogd::ingest
