// The native protocol, as the daemon reads and answers it: records with numbers of the client's own, and
// acknowledgements of them. FORMAT.md is its document. The client's half is native_client.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/limits.hpp"
#include "record/client_numbers.hpp"
#include "record/record_view.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::wire {

/// Views point into the bytes handed to the decoder.
struct NativeHello {
  std::uint64_t first_number = 1;
  std::string_view identifier;
  std::string_view host;
  ClientId client{};  ///< all zero: has none
};

/// One record, checked. `procid` and `msgid` lie before the slice; views point into the bytes handed to the decoder.
struct NativeRecord {
  std::uint64_t number = 0;
  std::int64_t sender_time_ns = kNoTime;
  Priority priority;
  Wanted wanted = Wanted::none;
  std::uint32_t message_start = 0;  ///< 0: no structured data, the slice is the message
  std::string_view identifier;      ///< empty: HELLO's
  std::string_view procid;
  std::string_view msgid;
  std::string_view slice;
};

struct NativeEvent {
  enum class Kind : std::uint8_t {
    more,     ///< nothing yet: come back with these bytes and those that follow them
    hello,    ///< once, first
    record,   ///< for the log
    refused,  ///< record `number` is not for the log, because of `refusal`
    flush,    ///< everything up to `number` is wanted `wanted`
    ping,     ///< to be answered with PONG `number`
    share,  ///< a ring of `number` bytes of shared memory is asked for; at most once, before the first record
    bell,   ///< look into the shared memory
    error,  ///< the connection can't be read any further; `text` says where and why
  };
  Kind kind = Kind::more;
  NativeError error = NativeError::none;
  Refusal refusal{};
  Wanted wanted = Wanted::none;  ///< refused, flush
  std::size_t consumed = 0;      ///< bytes done with; what follows begins the next call's bytes
  std::uint64_t number = 0;      ///< refused, flush, ping, share
  const char* text = "";         ///< error
  NativeHello hello;
  NativeRecord record;
};

/// What an identifier, a host, a procid or a msgid is: PRINTUSASCII of RFC 5424 and whatever UTF-8 brings, nothing that
/// ends a field or drives a terminal.
[[nodiscard]] bool is_word(std::string_view text);

/// Takes one connection's bytes apart, in place. Never allocates, never copies, keeps no bytes: the caller puts what was
/// not consumed in front of the next read. That is at most unfinished_bytes_max() long, because a record that is too
/// large is refused from its header and skipped as it comes. A value: copy it to go back to where it stood.
///
///     wire::NativeDecoder decoder(record_bytes_max);
///     for (NativeEvent event; decoder.next(bytes, event); bytes.remove_prefix(event.consumed)) ...
///
/// Lengths are checked against what contains them before anything behind them is looked at; what can't be is an error
/// of the connection, what only makes no sense (a priority of 255, broken structured data) refuses that one record.
class NativeDecoder {
 public:
  explicit NativeDecoder(std::size_t record_bytes_max) : record_bytes_max_(record_bytes_max) {}

  /// False: `event.kind` is `more`; event.consumed bytes (of a skipped record) are done with all the same. After an
  /// error nothing must follow.
  [[nodiscard]] bool next(std::string_view bytes, NativeEvent& event);

  /// Live-changeable; holds from the next record on.
  void set_record_bytes_max(std::size_t bytes) { record_bytes_max_ = bytes; }
  /// The records come through shared memory from here on: BATCHes are refused, and only the caller knows whether what a
  /// FLUSH names has been sent.
  void records_are_shared() { shared_ = true; }
  /// The longest tail a caller has to keep.
  [[nodiscard]] std::size_t unfinished_bytes_max() const { return record_bytes_max_ + kRecordOverheadMax; }
  /// The number the next record gets.
  [[nodiscard]] std::uint64_t next_number() const { return next_number_; }
  /// HELLO has been seen.
  [[nodiscard]] bool greeted() const { return state_ == State::messages; }
  /// Nothing unfinished: the stream may end here.
  [[nodiscard]] bool between_messages() const { return batch_records_ == 0 && skip_bytes_ == 0; }

 private:
  enum class State : std::uint8_t { magic, hello, messages };

  // Header, identifier, PROCID and MSGID at their largest, time, padding. HELLO is smaller.
  static constexpr std::size_t kRecordOverheadMax = sizeof(NativeRecordFields) + 8 + 3 * std::size_t{255} + 8;

  bool next_message(std::string_view bytes, NativeEvent& event);
  bool next_record(std::string_view bytes, NativeEvent& event);
  bool read_hello(std::string_view message, const NativeHeader& header, NativeEvent& event);
  bool begin_batch(std::string_view bytes, const NativeHeader& header, NativeEvent& event);
  bool read_short(const NativeHeader& header, NativeEvent& event);
  bool read_share(const NativeHeader& header, NativeEvent& event);
  void refuse(Refusal why, std::size_t record_bytes, Wanted wanted, NativeEvent& event);

  std::size_t record_bytes_max_;
  std::uint64_t next_number_ = 1;
  std::size_t skip_bytes_ = 0;       // left of a record that was refused from its header
  std::uint32_t batch_bytes_ = 0;    // left of the BATCH, without skip_bytes_
  std::uint32_t batch_records_ = 0;  // likewise
  Wanted batch_wanted_ = Wanted::none;
  State state_ = State::magic;
  bool asked_to_share_ = false;
  bool shared_ = false;
  bool any_batch_ = false;
};

/// What the daemon sends. Each writes one message to the front of `to`, which holds kNativeReplyBytesMax, and returns
/// its length.
[[nodiscard]] std::size_t write_welcome(std::span<char> to, std::uint64_t next_number,
                                        std::size_t record_bytes_max);
[[nodiscard]] std::size_t write_ack(std::span<char> to, std::uint64_t stored, std::uint64_t synced);
[[nodiscard]] std::size_t write_refused(std::span<char> to, std::uint64_t first, std::uint64_t last,
                                        Refusal why);
/// `text` is cut at kNativeErrorTextBytesMax.
[[nodiscard]] std::size_t write_error(std::span<char> to, NativeError error, std::string_view text);
[[nodiscard]] std::size_t write_pong(std::span<char> to, std::uint64_t number);

/// Two descriptors go with it: the ring's first and second file.
[[nodiscard]] std::size_t write_memory(std::span<char> to, std::uint64_t capacity,
                                       std::size_t record_bytes_max);
[[nodiscard]] std::size_t write_memory_refused(std::span<char> to, ShareRefusal why);

[[nodiscard]] std::string_view refusal_name(Refusal refusal);
[[nodiscard]] std::string_view native_error_name(NativeError error);
[[nodiscard]] std::string_view share_refusal_name(ShareRefusal refusal);

}  // namespace fastlogd::wire
