// One connection of a Unix stream or TCP listener.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ingest/block_writer.hpp"
#include "ingest/channel.hpp"
#include "wire/stream_framer.hpp"

namespace fastlogd::ingest {

/// Receives straight into the ring, frames and parses in place. What a block can't finish (the unfinished
/// tail of a read, or complete messages when the block has no room for more) is kept here and put in front of
/// the next read. A connection that turns out to speak the native protocol becomes a NativeSession.
/// Thread: its io thread.
class StreamSession final : public Channel {
 public:
  StreamSession(IoThread& thread, ListenerPtr listener, UniqueFd fd);
  ~StreamSession() override;

  void open() override;
  void ready() override;
  void tick(std::int64_t monotonic_now_ns) override;
  void drain(CloseReason reason) override;
  void abandon() override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Kind kind() const override { return Kind::connection; }

 private:
  class UnstoredMessages;

  enum class Progress : std::uint8_t { read, drained, paused, finished };
  enum class BlockEnd : std::uint8_t { all_framed, block_full, bad_framing };

  Progress read_block();
  Progress fill_block(BlockWriter& writer, std::size_t payload_bytes_max);
  Progress process(BlockWriter& writer, std::size_t bytes);
  [[nodiscard]] bool leave_text(std::string_view bytes);
  void become_native(std::string_view received);
  [[nodiscard]] BlockEnd frame(BlockWriter& writer, std::string_view bytes, std::size_t& consumed);
  [[nodiscard]] std::size_t add_all(BlockWriter& writer, std::string_view bytes,
                                    std::span<const wire::FramedMessage> messages);
  void keep_tail(std::string_view rest);
  void flush_idle();
  void begin_anew();
  [[nodiscard]] std::uint64_t count_unstored();
  void close(CloseReason reason);
  void look_up_peer();
  [[nodiscard]] std::size_t payload_wanted(const BlockWriter& writer) const;

  wire::StreamFramer framer_;
  MessageOrigin origin_;
  SourceHint hint_;
  std::array<char, 16> process_name_{};

  std::unique_ptr<char[]> tail_;
  std::size_t tail_capacity_ = 0;
  std::size_t tail_bytes_ = 0;
  std::size_t drain_bytes_left_ = 0;
  std::int64_t last_read_ns_ = 0;  // monotonic, as of the last tick
  std::int64_t tick_ns_ = 0;
  CloseReason close_reason_ = CloseReason::peer;
  bool backlog_ = false;  // the tail holds complete messages: frame it before reading more
  bool ended_ = false;    // end of the stream: what is left is a message
  bool draining_ = false;
  bool first_bytes_known_ = false;
};

}  // namespace fastlogd::ingest
