// What lies in a client's shared ring, on its way into the stream's ring.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "ingest/ack_board.hpp"
#include "ingest/ack_ledger.hpp"
#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "ingest/returning_clients.hpp"
#include "ingest/shared_quota.hpp"
#include "ring/shared_consumer.hpp"
#include "ring/shared_memory.hpp"
#include "wire/native_format.hpp"
#include "wire/shared_record.hpp"

namespace fastlogd::ingest {

/// A ring, and what is known of the client who fills it.
struct IntakeStart {
  ring::SharedMemory memory;
  SharedQuota::Lease lease;
  ring::SharedConsumer consumer;   ///< of `memory`
  MessageOrigin origin;            ///< its texts are copied
  std::uint64_t first_number = 0;  ///< 0: the first record says
  ClientKey client;                ///< none: has no id
  std::uint64_t known = 0;         ///< up to this number its records are in the log already
  RefusedRecords refused;          ///< of those, what isn't, which it has not been told
  std::string kept_name;           ///< of the ring, with the RingKeeper; empty: nobody keeps it
};

// clang-format off
/// Copies what lies in a shared ring into blocks of the stream's ring, with one memcpy for many records, and takes the
/// copy apart in place: from there on they are records like any others.
///
///     client ──► shared ring ──► copy, checks ──► stream's ring ──► appender ──► segment
///                     ▲                                                  │
///                     └── give_back(): its place is free only when ◄─────┘ the record is published
///
/// So a record is in the client's memory or in the log at every moment, whoever dies. While records come, the io thread
/// looks into the ring once a cycle and nobody makes a system call. When it has found nothing for some looks it arms the
/// ring and sleeps until the client rings.
///
/// Whatever can't be in the ring ends it, with a GAP and a counter. Who the client is to this daemon, and what it is told,
/// is the derived class's: SharedSession, ResumedRing. Thread: its io thread.
// clang-format on
class SharedIntake : public Channel, public AckListener {
 public:
  void ready() override;
  [[nodiscard]] Polled poll() override;
  void tick(std::int64_t monotonic_now_ns) override;
  void drain(CloseReason reason) override;
  void abandon() override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Kind kind() const override { return Kind::connection; }

  void progressed(const RingPoint& point, const RingProgress& ring, const StreamProgress* synced) override;
  [[nodiscard]] bool waits_for_progress() const override;

 protected:
  SharedIntake(IoThread& thread, ListenerPtr listener, UniqueFd fd, IntakeStart start);

  // ---- Of the derived class ----
  /// False: nothing yet; the next tick asks again.
  [[nodiscard]] virtual bool may_take() { return true; }
  /// Something has been taken, or has become safe: tell the client what it wants to know.
  virtual void answer() {}
  /// The client has ended, and everything of it is in the stream's ring. The end waits until it is on disk, or the client
  /// has been told that it may not be: the next connection takes what came before it for safe.
  virtual void all_taken();
  /// Somebody still waits for the appender or the disk.
  [[nodiscard]] virtual bool is_owed() const = 0;
  /// The last look, when nothing is owed. False: there is more.
  [[nodiscard]] virtual bool is_over() { return true; }
  /// The orderly end, and the other one, for the client to hear.
  virtual void take_leave() {}
  virtual void say_why(wire::NativeError error, const char* text) {
    static_cast<void>(error);
    static_cast<void>(text);
  }
  [[nodiscard]] virtual std::string describe_client() = 0;
  /// At the end of it all: counters, and what is to be known of it elsewhere.
  virtual void left(CloseReason reason) = 0;

  // ---- For it ----
  [[nodiscard]] AckBoard& board();
  [[nodiscard]] std::uint64_t next_number() const { return next_number_; }
  /// Something that was taken has not been given back.
  [[nodiscard]] bool owes_room() const { return owed_count_ > 0; }
  /// Looks into the ring, now and for some time.
  void wake();
  /// What is in the ring is all there will be.
  void client_has_ended();
  void request_sync();
  [[nodiscard]] bool daemon_stops() const { return close_reason_ == CloseReason::shutdown; }
  void end_ring(wire::NativeError error, const char* text);

  ring::SharedConsumer consumer_;
  AckLedger ledger_;
  MessageOrigin origin_;
  ClientKey client_;
  std::uint64_t known_;
  std::uint64_t next_number_;
  std::uint64_t synced_wanted_ = 0;
  RefusedRecords refused_;  ///< last 0: nothing to tell
  std::string kept_name_;
  std::int64_t tick_ns_;
  bool sync_request_ = false;
  bool ended_ = false;    ///< the client is gone, or is to go
  bool drained_ = false;  ///< and all that was in the ring has been taken
  bool draining_ = false;

 private:
  enum class Took : std::uint8_t { nothing, some, must_wait, finished };

  /// Of what was copied, what the appender has not dealt with.
  struct Owed {
    std::uint64_t ring_end = 0;  ///< of the stream's ring
    std::uint64_t position = 0;  ///< of the shared ring
  };
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
  void look_afresh();
  [[nodiscard]] bool looks_on();
  [[nodiscard]] std::size_t copy_bytes(const BlockWriter& writer) const;
  void end_if_done();
  void close(CloseReason reason);

  ring::SharedMemory memory_;
  SharedQuota::Lease lease_;
  SourceHint hint_;
  std::array<char, limits::kIdentifierBytesMax + limits::kHostBytesMax> names_{};
  std::array<Owed, kOwedMax> owed_{};
  std::size_t owed_first_ = 0;
  std::size_t owed_count_ = 0;
  const char* broken_ = nullptr;  ///< what the client did
  wire::NativeError error_ = wire::NativeError::none;
  std::size_t drain_bytes_left_ = 0;
  unsigned looks_in_vain_ = 0;
  unsigned rests_in_vain_ = 0;
  std::uint64_t rests_seen_ = 0;  ///< of the thread's
  std::size_t patience_ = 0;      ///< in records: what those that came are still worth
  CloseReason close_reason_ = CloseReason::peer;
  bool asleep_ = false;  ///< armed: the client rings
  bool waiting_for_room_ = false;
  std::size_t room_wanted_ = 0;  ///< then
};

}  // namespace fastlogd::ingest
