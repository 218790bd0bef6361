// One connection that speaks the native protocol: records with numbers, and acknowledgements of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/ack_board.hpp"
#include "ingest/ack_ledger.hpp"
#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "ingest/reply_buffer.hpp"
#include "ingest/shared_grant.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {

/// What a session hands over when the first bytes of its connection turn out to be the native protocol's.
struct NativeStart {
  MessageOrigin origin;
  std::array<char, 16> process_name{};  ///< what origin.attested.identifier views, if anything
  std::unique_ptr<char[]> received;     ///< from the magic on
  std::size_t received_bytes = 0;
  std::size_t received_capacity = 0;
};

/// Receives straight into the ring and takes records apart in place, like StreamSession. Beside that it keeps, in fixed
/// memory, which record numbers are where, and tells the peer: at most one write per cycle, and one acknowledgement
/// that says as much as many.
///
/// A peer that does not read its answers costs nothing: one acknowledgement waits for it, and replaces itself. When
/// refusals or pongs find no room it is not read either, and after kUnreadNanosMax it is closed. When it ends its side, or
/// the daemon stops, everything received is acknowledged before the connection is closed. Thread: its io thread.
class NativeSession final : public Channel, public AckListener {
 public:
  /// Takes the connection over, its place among the open connections included.
  NativeSession(IoThread& thread, ListenerPtr listener, UniqueFd fd, NativeStart start);
  ~NativeSession() override;

  void open() override;
  void ready() override;
  void tick(std::int64_t monotonic_now_ns) override;
  void drain(CloseReason reason) override;
  void abandon() override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Kind kind() const override { return Kind::connection; }

  void progressed(const RingPoint& point, const RingProgress& ring, const StreamProgress* synced) override;
  [[nodiscard]] bool waits_for_progress() const override;

 private:
  enum class Progress : std::uint8_t { read, drained, paused, stalled, finished };
  enum class BlockEnd : std::uint8_t { all_read, block_full, failed, put_off };

  Progress read_block();
  /// Bytes now in the block, the tail included; -1: nothing is there yet, wait.
  [[nodiscard]] std::ptrdiff_t receive(BlockWriter& writer, std::size_t payload_bytes_max);
  Progress process(BlockWriter& writer, std::size_t bytes);
  [[nodiscard]] BlockEnd decode(BlockWriter& writer, std::string_view bytes, std::size_t& consumed,
                                wire::NativeEvent& event);
  [[nodiscard]] bool begins_a_hole(const BlockWriter& writer, const wire::NativeEvent& event) const;
  [[nodiscard]] bool take(BlockWriter& writer, const wire::NativeEvent& event);
  [[nodiscard]] bool add(BlockWriter& writer, const wire::NativeRecord& record);
  void flush(const wire::NativeEvent& event);
  [[nodiscard]] Progress share();
  void become_shared(SharedGrant grant, std::string kept_name);
  void want(std::uint64_t number, wire::Wanted wanted);
  [[nodiscard]] bool comes_too_early(const wire::NativeHello& hello) const;
  void greet(const wire::NativeHello& hello);
  void refuse_record(const wire::NativeEvent& event);
  void request_sync(BlockWriter& writer);
  void sync_before_removal();
  void keep_tail(std::string_view rest);
  [[nodiscard]] std::size_t payload_wanted(const BlockWriter& writer) const;

  void refuse(std::uint64_t first, std::uint64_t last, wire::Refusal why);
  [[nodiscard]] std::uint64_t refuse_unstored();
  [[nodiscard]] bool owes_answers() const;
  void answer();
  void end_if_done();
  void resume_if_stalled();
  void fail(wire::NativeError error, std::string_view text);
  void put_off();
  void close(CloseReason reason);
  [[nodiscard]] AckBoard& board();

  wire::NativeDecoder decoder_;
  AckLedger ledger_;
  ReplyBuffer replies_;
  MessageOrigin origin_;
  SourceHint hint_;
  std::array<char, 16> process_name_;
  std::array<char, limits::kIdentifierBytesMax + limits::kHostBytesMax> claims_{};  ///< of HELLO

  std::unique_ptr<char[]> tail_;
  std::size_t tail_capacity_;
  std::size_t tail_bytes_;
  std::size_t drain_bytes_left_ = 0;
  std::uint64_t stored_wanted_ = 0;  ///< the highest number of which the peer wants to be told
  std::uint64_t synced_wanted_ = 0;
  std::optional<std::uint64_t> share_wanted_;  ///< bytes of shared memory, to be answered
  std::int64_t tick_ns_ = 0;
  CloseReason close_reason_ = CloseReason::peer;
  ClientKey client_;         ///< of HELLO; none: the records are numbered for this connection alone
  std::uint64_t known_ = 0;  ///< up to this number its records were in the log when the daemon started
  bool backlog_ = true;      ///< the tail may hold more: read it before receiving
  bool ended_ = false;       ///< nothing more will be received
  bool draining_ = false;
  bool stalled_ = false;       ///< not reading until answers are read or the appender has caught up
  bool sync_request_ = false;  ///< to be put into the ring
};

}  // namespace fastlogd::ingest
