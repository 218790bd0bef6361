// One producing thread of a client that writes into shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "ingest/ack_board.hpp"
#include "ingest/ack_ledger.hpp"
#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "ingest/reply_buffer.hpp"
#include "ingest/returning_clients.hpp"
#include "ingest/shared_grant.hpp"
#include "ring/shared_consumer.hpp"
#include "wire/native.hpp"
#include "wire/shared_record.hpp"

namespace fastlogd::ingest {

/// What a native session hands over when its client has got memory.
struct SharedStart {
  SharedGrant grant;
  MessageOrigin origin;  ///< its texts are copied
  std::uint64_t first_number = 1;
  ClientKey client;         ///< none: has no id
  std::uint64_t known = 0;  ///< up to this number its records are in the log already
  RefusedRecords refused;   ///< of those, what isn't, which it has not been told
  wire::NativeDecoder decoder;
  std::string_view received;           ///< of the socket, behind SHARE; copied
  std::string kept_name;               ///< with the RingKeeper; empty: nobody keeps it
  std::vector<std::string> old_names;  ///< likewise, the rings it had before, until it has copied from them
  unsigned turn = 0;                   ///< resumed: which one of its client's
  bool resumed = false;                ///< the ring of a daemon that has ended, its client's socket with it
  UniqueFd peer;                       ///< resumed: the other end; it says nothing and is told nothing
};

// clang-format off
/// Copies what lies in the client's ring into blocks of the stream's ring, with one memcpy for many records, and takes
/// the copy apart in place: from there on they are records like any others.
///
///     client ──► shared ring ──► copy, checks ──► stream's ring ──► appender ──► segment
///                     ▲                                                  │
///                     └── give_back(): its place is free only when ◄─────┘ the record is published
///
/// So a record is in the client's memory or in the log at every moment, whoever dies. While records come, the io thread
/// looks into the ring once a cycle and nobody makes a system call. When it has found nothing for some looks it arms the
/// ring and sleeps, and the client's next record rings through the socket (BELL).
///
/// The socket's end is the client's end: what it had committed is stored.
///
/// A ring of the daemon before this one is read as long as its client lives and has not come to this daemon: what it
/// writes is in the log, though it may not know yet that there is one. Then the ring is closed, drained, and on disk when
/// it is settled: its client will be told that it need not write that again. Whatever can't be in the ring ends the
/// connection, with an ERROR, a GAP and a counter. Thread: its io thread.
// clang-format on
class SharedSession final : public Channel, public AckListener {
 public:
  /// Takes the connection over, its place among the open connections included.
  SharedSession(IoThread& thread, ListenerPtr listener, UniqueFd fd, SharedStart start);
  ~SharedSession() override;

  void open() override;
  void ready() override;
  [[nodiscard]] Polled poll() override;
  void tick(std::int64_t monotonic_now_ns) override;
  void drain(CloseReason reason) override;
  void abandon() override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Kind kind() const override { return Kind::connection; }

  void progressed(const RingPoint& point, const RingProgress& ring, const StreamProgress* synced) override;
  [[nodiscard]] bool waits_for_progress() const override;

 private:
  enum class Took : std::uint8_t { nothing, some, must_wait, finished };

  /// Of what was copied, what the appender has not dealt with.
  struct Owed {
    std::uint64_t ring_end = 0;  ///< of the stream's ring
    std::uint64_t position = 0;  ///< of the shared ring
  };
  /// Of a ring that was resumed: its first record says.
  static constexpr std::uint64_t kUnknownNumber = 0;
  static constexpr std::size_t kOwedMax = AckLedger::kRunsMax;

  [[nodiscard]] Took take_block();
  void take_copy(BlockWriter& writer, std::size_t bytes);
  [[nodiscard]] bool take_record(BlockWriter& writer, std::span<const std::byte> payload);
  /// Until the appender has caught up.
  [[nodiscard]] bool stalled() const { return !ledger_.has_room() || owed_count_ == kOwedMax; }
  [[nodiscard]] bool in_order(std::uint64_t number);
  void pass_over(std::span<const std::byte> beginning);
  void refuse_record(std::uint64_t number, wire::Refusal why);
  void note_refused(std::uint64_t first, std::uint64_t last, wire::Refusal why);
  void owe(std::uint64_t ring_end);
  void give_back_settled(std::uint64_t ring_position);
  void look_at_drops();
  void end_ring(wire::NativeError error, const char* text);
  [[nodiscard]] std::size_t copy_bytes(const BlockWriter& writer) const;

  void watch_socket();
  void read_socket();
  void heard();
  void wake();
  void look_afresh();
  [[nodiscard]] bool looks_on();
  void request_sync();
  void answer();
  [[nodiscard]] bool owes_answers() const;
  void end_if_done();
  [[nodiscard]] bool is_my_turn();
  void look_after_client();
  [[nodiscard]] bool client_lives() const;
  void sync_all();
  void settle_resumed();
  void forget_old();
  void close(CloseReason reason);
  [[nodiscard]] AckBoard& board();

  UniqueFd peer_;
  std::string kept_name_;
  std::vector<std::string> old_names_;
  ring::SharedMemory memory_;
  SharedQuota::Lease lease_;
  ring::SharedConsumer consumer_;
  wire::NativeDecoder decoder_;
  AckLedger ledger_;
  ReplyBuffer replies_;
  MessageOrigin origin_;
  SourceHint hint_;
  std::array<char, limits::kIdentifierBytesMax + limits::kHostBytesMax> names_{};
  std::array<Owed, kOwedMax> owed_{};
  std::size_t owed_first_ = 0;
  std::size_t owed_count_ = 0;
  std::array<char, 512> received_{};  ///< unfinished messages of the socket
  std::size_t received_bytes_ = 0;

  ClientKey client_;
  std::uint64_t known_;
  std::uint64_t next_number_;
  std::uint64_t stored_wanted_ = 0;
  std::uint64_t synced_wanted_ = 0;
  std::uint64_t refused_first_ = 0;
  std::uint64_t refused_last_ = 0;  ///< 0: nothing to tell
  wire::Refusal refusal_{};
  std::int64_t tick_ns_ = 0;
  const char* broken_ = nullptr;  ///< what the client did
  wire::NativeError error_ = wire::NativeError::none;
  std::size_t drain_bytes_left_ = 0;
  unsigned looks_in_vain_ = 0;
  std::uint64_t naps_before_ = 0;  ///< the thread's, when there was something
  CloseReason close_reason_ = CloseReason::peer;
  bool asleep_ = false;  ///< armed: the client rings
  bool waiting_for_room_ = false;
  bool ended_ = false;    ///< the client is gone, or is to go: what is in the ring is all there will be
  bool drained_ = false;  ///< and all of it has been taken
  bool draining_ = false;
  bool sync_request_ = false;
  bool turn_has_come_ = false;
  bool client_gone_ = false;  ///< resumed: and everything it had written has been seen
  const unsigned turn_;
  const bool resumed_;
};

}  // namespace fastlogd::ingest
