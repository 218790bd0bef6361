#include "wire/native.hpp"

#include <algorithm>
#include <cstring>

#include "record/structured_data.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t kBatchStart = sizeof(NativeHeader) + sizeof(NativeBatchFields);
constexpr std::size_t kHelloStart = sizeof(NativeHeader) + sizeof(NativeHelloFields);
constexpr std::size_t kHelloBytesMax = kHelloStart + 2 * std::size_t{255} + 7;
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62;  // so that counting on can't wrap

constexpr std::size_t align8(std::size_t n) {
  return (n + 7) & ~std::size_t{7};
}

template <class T>
T load(std::string_view bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

/// PRINTUSASCII of RFC 5424 and whatever UTF-8 brings: nothing that ends a field or drives a terminal.
bool is_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

bool fail(NativeEvent& event, NativeError error, const char* text) {
  event.kind = NativeEvent::Kind::error;
  event.error = error;
  event.text = text;
  return true;
}

/// STRUCTURED-DATA and a space, or STRUCTURED-DATA alone: RFC 5424 section 6.
bool message_start_fits(std::string_view slice, std::size_t message_start) {
  if (message_start == 0) return true;
  if (message_start > slice.size()) return false;
  const std::size_t data = structured_data_bytes(slice);
  return data != 0 && message_start == std::min(data + 1, slice.size());
}

std::size_t record_bytes(const NativeRecordFields& fields) {
  return align8(sizeof fields + ((fields.flags & NativeRecordFields::kHasTime) != 0 ? 8 : 0) +
                fields.identifier_bytes + fields.procid_bytes + fields.msgid_bytes +
                std::size_t{fields.slice_bytes});
}

Wanted wanted_of(std::uint8_t value) {
  return static_cast<Wanted>(std::min<std::uint8_t>(value, 2));
}

/// False: a field makes no sense. `bytes` is the whole record.
bool read_record(std::string_view bytes, const NativeRecordFields& fields, NativeRecord& record) {
  std::size_t at = sizeof fields;
  record.sender_time_ns = kNoTime;
  if ((fields.flags & NativeRecordFields::kHasTime) != 0) {
    record.sender_time_ns = load<std::int64_t>(bytes, at);
    at += 8;
  }
  const auto take = [&](std::size_t n) {
    const std::string_view field = bytes.substr(at, n);
    at += n;
    return field;
  };
  record.priority = Priority{fields.priority};
  record.message_start = fields.message_start;
  record.identifier = take(fields.identifier_bytes);
  record.procid = take(fields.procid_bytes);
  record.msgid = take(fields.msgid_bytes);
  record.slice = take(fields.slice_bytes);
  constexpr std::uint8_t kKnown = NativeRecordFields::kWantedMask | NativeRecordFields::kHasTime;
  return fields.priority <= kPriorityMax && (fields.flags & ~kKnown) == 0 &&
         (fields.flags & NativeRecordFields::kWantedMask) <= 2 &&
         (fields.zero[0] | fields.zero[1] | fields.zero[2]) == 0 && all_zero(bytes.substr(at)) &&
         record.identifier.size() <= limits::kIdentifierBytesMax &&
         record.procid.size() <= limits::kProcidBytesMax && record.msgid.size() <= limits::kMsgidBytesMax &&
         is_word(record.identifier) && is_word(record.procid) && is_word(record.msgid) &&
         message_start_fits(record.slice, record.message_start);
}

}  // namespace

bool NativeDecoder::next(std::string_view bytes, NativeEvent& event) {
  event.kind = NativeEvent::Kind::more;
  event.consumed = 0;
  if (skip_bytes_ > 0) {
    event.consumed = std::min(skip_bytes_, bytes.size());
    skip_bytes_ -= event.consumed;
    if (skip_bytes_ > 0) return false;
    bytes.remove_prefix(event.consumed);
  }
  if (bytes.empty()) return false;
  if (state_ == State::magic) {
    const std::size_t n = std::min(bytes.size(), kNativeMagic.size());
    if (std::memcmp(bytes.data(), kNativeMagic.data(), n) != 0) {
      return fail(event, NativeError::malformed, "the connection does not begin with the protocol's magic");
    }
    if (n < kNativeMagic.size()) return false;
    state_ = State::hello;
    event.consumed += n;
    bytes.remove_prefix(n);
  }
  return batch_records_ > 0 ? next_record(bytes, event) : next_message(bytes, event);
}

bool NativeDecoder::next_message(std::string_view bytes, NativeEvent& event) {
  if (bytes.size() < sizeof(NativeHeader)) return false;
  const auto header = load<NativeHeader>(bytes);
  if (header.bytes % 8 != 0 || header.bytes < sizeof header || header.zero != 0) {
    return fail(event, NativeError::malformed,
                "a message's length is no multiple of 8 or its header is not sound");
  }
  if (state_ == State::hello) {
    if (header.type != NativeType::hello || header.bytes < kHelloStart ||
        header.bytes > align8(kHelloBytesMax)) {
      return fail(event, NativeError::malformed, "the first message is not a HELLO");
    }
    if (bytes.size() < header.bytes) return false;
    return read_hello(bytes.substr(0, header.bytes), header, event);
  }
  if (header.type == NativeType::batch) return begin_batch(bytes, header, event);
  return read_short(header, event);
}

/// FLUSH and PING are a header alone.
bool NativeDecoder::read_short(const NativeHeader& header, NativeEvent& event) {
  if (header.type != NativeType::flush && header.type != NativeType::ping) {
    return fail(event, NativeError::malformed, "a message of a type that clients don't send");
  }
  if (header.bytes != sizeof header || header.detail != 0) {
    return fail(event, NativeError::malformed, "a FLUSH or PING is a header alone");
  }
  if (header.type == NativeType::flush && header.number >= next_number_) {
    return fail(event, NativeError::order, "a FLUSH of records that were not sent");
  }
  event.kind = header.type == NativeType::flush ? NativeEvent::Kind::flush : NativeEvent::Kind::ping;
  event.number = header.number;
  event.consumed += sizeof header;
  return true;
}

bool NativeDecoder::read_hello(std::string_view message, const NativeHeader& header, NativeEvent& event) {
  const auto fields = load<NativeHelloFields>(message, sizeof header);
  // The fields up to the flags stay where they are in every version, so that this answer can always be given.
  if (fields.version_min > kNativeVersion || fields.version_max < kNativeVersion) {
    return fail(event, NativeError::version, "this daemon speaks version 1 of the protocol");
  }
  const std::size_t text_bytes = std::size_t{fields.identifier_bytes} + fields.host_bytes;
  if (header.bytes != align8(kHelloStart + text_bytes) || header.detail != 0) {
    return fail(event, NativeError::malformed, "the length of HELLO is not that of its fields");
  }
  const std::string_view identifier = message.substr(kHelloStart, fields.identifier_bytes);
  const std::string_view host = message.substr(kHelloStart + fields.identifier_bytes, fields.host_bytes);
  if (fields.flags != 0 ||
      std::any_of(fields.zero.begin(), fields.zero.end(), [](auto b) { return b != 0; }) ||
      !all_zero(message.substr(kHelloStart + text_bytes))) {
    return fail(event, NativeError::malformed, "HELLO asks for something that version 1 does not have");
  }
  if (identifier.size() > limits::kIdentifierBytesMax || !is_word(identifier) || !is_word(host)) {
    return fail(
        event, NativeError::malformed,
        "an identifier has at most 128 bytes, and neither it nor a host has spaces or control characters");
  }
  if (header.number == 0 || header.number > kNumberMax) {
    return fail(event, NativeError::order, "record numbers begin with 1 and end with 2^62");
  }
  state_ = State::messages;
  next_number_ = header.number;
  event.kind = NativeEvent::Kind::hello;
  event.hello = {.first_number = header.number, .identifier = identifier, .host = host};
  event.consumed += header.bytes;
  return true;
}

bool NativeDecoder::begin_batch(std::string_view bytes, const NativeHeader& header, NativeEvent& event) {
  if (header.bytes > limits::kNativeMessageBytesMax) {
    return fail(event, NativeError::malformed, "a BATCH over message_bytes_max");
  }
  if (bytes.size() < kBatchStart) return false;
  const auto fields = load<NativeBatchFields>(bytes, sizeof header);
  if (header.bytes < kBatchStart || header.detail > 2 || fields.zero != 0 || fields.records == 0 ||
      (header.bytes - kBatchStart) / sizeof(NativeRecordFields) < fields.records) {
    return fail(event, NativeError::malformed, "a BATCH that can't hold the records it promises");
  }
  if (header.number != next_number_) {
    return fail(event, NativeError::order, "a BATCH must begin with the number after the last one");
  }
  batch_wanted_ = wanted_of(header.detail);
  batch_records_ = fields.records;
  batch_bytes_ = header.bytes - static_cast<std::uint32_t>(kBatchStart);
  event.consumed += kBatchStart;
  return next_record(bytes.substr(kBatchStart), event);
}

// Walk 2 framing
bool NativeDecoder::next_record(std::string_view bytes, NativeEvent& event) {
  if (bytes.size() < sizeof(NativeRecordFields)) return false;
  const auto fields = load<NativeRecordFields>(bytes);
  const std::size_t whole = record_bytes(fields);
  const std::size_t others = (batch_records_ - 1) * sizeof(NativeRecordFields);
  if (whole + others > batch_bytes_ || (batch_records_ == 1 && whole != batch_bytes_)) {
    return fail(event, NativeError::malformed, "a record's lengths are not those of its BATCH");
  }
  const Wanted wanted = std::max(batch_wanted_, wanted_of(fields.flags & NativeRecordFields::kWantedMask));
  if (fields.slice_bytes > record_bytes_max_) {
    refuse(Refusal::too_large, whole, wanted, event);
    const std::size_t here = std::min(whole, bytes.size());
    event.consumed += here;
    skip_bytes_ = whole - here;
    return true;
  }
  if (bytes.size() < whole) return false;
  NativeRecord& record = event.record;
  if (!read_record(bytes.substr(0, whole), fields, record)) {
    refuse(Refusal::malformed, whole, wanted, event);
    event.consumed += whole;
    return true;
  }
  event.kind = NativeEvent::Kind::record;
  record.number = next_number_++;
  record.wanted = wanted;
  event.consumed += whole;
  batch_bytes_ -= static_cast<std::uint32_t>(whole);
  --batch_records_;
  return true;
}

void NativeDecoder::refuse(Refusal why, std::size_t record_bytes, Wanted wanted, NativeEvent& event) {
  event.kind = NativeEvent::Kind::refused;
  event.refusal = why;
  event.wanted = wanted;
  event.number = next_number_++;
  batch_bytes_ -= static_cast<std::uint32_t>(record_bytes);
  --batch_records_;
}

// --- what the daemon sends ---

namespace {

/// Appends values to a message and knows its length at the end.
class Message {
 public:
  Message(std::span<char> to, NativeType type, std::uint8_t detail, std::uint64_t number)
      : to_(to), header_{.bytes = 0, .type = type, .detail = detail, .zero = 0, .number = number} {}

  template <class T>
  Message& put(const T& value) {
    std::memcpy(to_.data() + bytes_, &value, sizeof value);
    bytes_ += sizeof value;
    return *this;
  }
  Message& put_text(std::string_view text) {
    std::copy(text.begin(), text.end(), to_.data() + bytes_);
    bytes_ += text.size();
    return *this;
  }
  [[nodiscard]] std::size_t finish() {
    while (bytes_ % 8 != 0) to_[bytes_++] = 0;
    header_.bytes = static_cast<std::uint32_t>(bytes_);
    std::memcpy(to_.data(), &header_, sizeof header_);
    return bytes_;
  }

 private:
  std::span<char> to_;
  NativeHeader header_;
  std::size_t bytes_ = sizeof(NativeHeader);
};

static_assert(sizeof(NativeHeader) + 8 + align8(limits::kNativeErrorTextBytesMax) <=
              limits::kNativeReplyBytesMax);

}  // namespace

std::size_t write_welcome(std::span<char> to, std::uint64_t next_number, std::size_t record_bytes_max) {
  return Message(to, NativeType::welcome, 0, next_number)
      .put(NativeWelcomeFields{.message_bytes_max = limits::kNativeMessageBytesMax,
                               .record_bytes_max = static_cast<std::uint32_t>(record_bytes_max)})
      .finish();
}

std::size_t write_ack(std::span<char> to, std::uint64_t stored, std::uint64_t synced) {
  return Message(to, NativeType::ack, 0, stored).put(synced).finish();
}

std::size_t write_refused(std::span<char> to, std::uint64_t first, std::uint64_t last, Refusal why) {
  return Message(to, NativeType::refused, static_cast<std::uint8_t>(why), first).put(last).finish();
}

std::size_t write_error(std::span<char> to, NativeError error, std::string_view text) {
  text = text.substr(0, limits::kNativeErrorTextBytesMax);
  return Message(to, NativeType::error, static_cast<std::uint8_t>(error), text.size())
      .put_text(text)
      .finish();
}

std::size_t write_pong(std::span<char> to, std::uint64_t number) {
  return Message(to, NativeType::pong, 0, number).finish();
}

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::too_large:
      return "too_large";
    case Refusal::malformed:
      return "malformed";
    case Refusal::stream_full:
      return "stream_full";
    case Refusal::durability_unknown:
      return "durability_unknown";
    case Refusal::shutting_down:
      return "shutting_down";
  }
  return "unknown";
}

std::string_view native_error_name(NativeError error) {
  switch (error) {
    case NativeError::none:
      return "none";
    case NativeError::malformed:
      return "malformed";
    case NativeError::version:
      return "version";
    case NativeError::order:
      return "order";
    case NativeError::not_here:
      return "not_here";
    case NativeError::not_reading:
      return "not_reading";
    case NativeError::shutting_down:
      return "shutting_down";
  }
  return "unknown";
}

}  // namespace fastlogd::wire
