// The native protocol, as a client writes it and reads what the daemon answers. FORMAT.md is its document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "record/client_numbers.hpp"
#include "record/record_view.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::wire {

/// Appends magic and HELLO. Identifier and host: base/limits.hpp's lengths, no spaces or control characters; the daemon
/// refuses others.
/// `client`: all zero says nothing.
void append_hello(std::string& out, std::uint64_t first_number, std::string_view identifier,
                  std::string_view host, const ClientId& client = {});
/// `wanted`: stored or synced.
void append_flush(std::string& out, std::uint64_t number, Wanted wanted = Wanted::synced);
void append_ping(std::string& out, std::uint64_t number);
/// Asks for a ring of about `bytes` of shared memory.
void append_share(std::string& out, std::uint64_t bytes);

/// What a client says of one record.
struct NativeMessage {
  Priority priority;
  Wanted wanted = Wanted::none;  ///< more than the batch's, or none
  std::int64_t sender_time_ns = kNoTime;
  std::string_view identifier;
  std::string_view procid;
  std::string_view msgid;
  std::string_view structured_data;  ///< RFC 5424 STRUCTURED-DATA, escaped already; empty: none
  std::string_view text;
};

/// Bytes a record of `message` takes in a BATCH.
[[nodiscard]] std::size_t native_record_bytes(const NativeMessage& message);

/// Builds one BATCH at the end of a string that others may have begun:
///
///     NativeBatch batch(out, first_number, Wanted::stored);
///     batch.add(...);  batch.add(...);
///     batch.finish();          // without records nothing is left of it
///
/// The string must not be touched between. `fits` tells when it is time for the next one.
class NativeBatch {
 public:
  NativeBatch(std::string& out, std::uint64_t first_number, Wanted wanted);
  [[nodiscard]] bool fits(const NativeMessage& message, std::size_t message_bytes_max) const;
  void add(const NativeMessage& message);
  void finish();
  [[nodiscard]] std::uint32_t records() const { return records_; }

 private:
  std::string& out_;
  std::size_t start_;
  std::uint32_t records_ = 0;
};

/// One message of the daemon. `text` points into the bytes.
struct NativeReply {
  NativeType type{};
  std::uint64_t number =
      0;  ///< WELCOME: the next number; REFUSED: the first one; PONG: PING's; MEMORY: capacity
  std::uint64_t stored = 0;             ///< ACK: every record up to it is stored, or was refused
  std::uint64_t synced = 0;             ///< ACK: every record up to it is on disk, or was refused
  std::uint64_t last = 0;               ///< REFUSED
  Refusal refusal{};                    ///< REFUSED
  NativeError error{};                  ///< ERROR
  std::uint32_t message_bytes_max = 0;  ///< WELCOME
  std::uint32_t record_bytes_max = 0;   ///< WELCOME, MEMORY
  ShareRefusal share_refusal{};         ///< MEMORY: none, or there is none
  std::string_view text;                ///< ERROR
};

enum class ReplyStatus : std::uint8_t {
  more,     ///< the message goes on behind these bytes
  message,  ///< `consumed` bytes are done with
  broken,   ///< that is no message of this protocol
};

/// Reads the message that `bytes` begin with. Never looks behind them.
[[nodiscard]] ReplyStatus read_reply(std::string_view bytes, NativeReply& reply, std::size_t& consumed);

}  // namespace fastlogd::wire
