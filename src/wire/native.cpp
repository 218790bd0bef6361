#include "wire/native.hpp"

#include <algorithm>
#include <cstring>

#include "record/structured_data.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t kBatchStart = sizeof(NativeHeader) + sizeof(NativeBatchFields);
constexpr std::size_t kHelloStart = sizeof(NativeHeader) + sizeof(NativeHelloFields);
constexpr std::size_t kHelloBytesMax = kHelloStart + 2 * std::size_t{255} + 7;

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

bool is_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

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
  if (header.type == NativeType::share) return read_share(header, event);
  return read_short(header, event);
}

/// FLUSH, PING and BELL are a header alone.
bool NativeDecoder::read_short(const NativeHeader& header, NativeEvent& event) {
  const bool flush = header.type == NativeType::flush;
  if (!flush && header.type != NativeType::ping && !(header.type == NativeType::bell && shared_)) {
    return fail(event, NativeError::malformed, "a message of a type that clients don't send");
  }
  if (header.bytes != sizeof header || header.detail > (flush ? 1 : 0)) {
    return fail(event, NativeError::malformed, "a FLUSH, PING or BELL is a header alone");
  }
  if (flush && !shared_ && header.number >= next_number_) {
    return fail(event, NativeError::order, "a FLUSH of records that were not sent");
  }
  event.kind = flush                             ? NativeEvent::Kind::flush
               : header.type == NativeType::ping ? NativeEvent::Kind::ping
                                                 : NativeEvent::Kind::bell;
  event.wanted = header.detail == 0 ? Wanted::synced : Wanted::stored;
  event.number = header.number;
  event.consumed += sizeof header;
  return true;
}

bool NativeDecoder::read_share(const NativeHeader& header, NativeEvent& event) {
  if (header.bytes != sizeof header || header.detail != kSharedLayout) {
    return fail(event, NativeError::malformed, "a SHARE is a header alone, and this daemon knows layout 1");
  }
  if (asked_to_share_ || any_batch_) {
    return fail(event, NativeError::order, "a SHARE comes once, before the first BATCH");
  }
  asked_to_share_ = true;
  event.kind = NativeEvent::Kind::share;
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
  const std::size_t text_bytes =
      std::size_t{fields.identifier_bytes} + fields.host_bytes + fields.client_id_bytes;
  if (header.bytes != align8(kHelloStart + text_bytes) || header.detail != 0) {
    return fail(event, NativeError::malformed, "the length of HELLO is not that of its fields");
  }
  const std::string_view identifier = message.substr(kHelloStart, fields.identifier_bytes);
  const std::string_view host = message.substr(kHelloStart + fields.identifier_bytes, fields.host_bytes);
  const std::string_view client =
      message.substr(kHelloStart + fields.identifier_bytes + fields.host_bytes, fields.client_id_bytes);
  if (fields.flags != 0 || (!client.empty() && client.size() != sizeof(ClientId)) ||
      std::any_of(fields.zero.begin(), fields.zero.end(), [](auto b) { return b != 0; }) ||
      !all_zero(message.substr(kHelloStart + text_bytes))) {
    return fail(event, NativeError::malformed, "HELLO asks for something that version 1 does not have");
  }
  if (identifier.size() > limits::kIdentifierBytesMax || !is_word(identifier) || !is_word(host)) {
    return fail(
        event, NativeError::malformed,
        "an identifier has at most 128 bytes, and neither it nor a host has spaces or control characters");
  }
  if (header.number == 0 || header.number > kNativeNumberMax) {
    return fail(event, NativeError::order, "record numbers begin with 1 and end with 2^62");
  }
  state_ = State::messages;
  next_number_ = header.number;
  event.kind = NativeEvent::Kind::hello;
  event.hello = {.first_number = header.number, .identifier = identifier, .host = host};
  if (!client.empty()) std::memcpy(event.hello.client.data(), client.data(), client.size());
  event.consumed += header.bytes;
  return true;
}

bool NativeDecoder::begin_batch(std::string_view bytes, const NativeHeader& header, NativeEvent& event) {
  if (header.bytes > limits::kNativeMessageBytesMax) {
    return fail(event, NativeError::malformed, "a BATCH over message_bytes_max");
  }
  if (shared_) return fail(event, NativeError::order, "a BATCH where the records come through shared memory");
  if (bytes.size() < kBatchStart) return false;
  const auto fields = load<NativeBatchFields>(bytes, sizeof header);
  if (header.bytes < kBatchStart || header.detail > 2 || fields.zero != 0 || fields.records == 0 ||
      (header.bytes - kBatchStart) / sizeof(NativeRecordFields) < fields.records) {
    return fail(event, NativeError::malformed, "a BATCH that can't hold the records it promises");
  }
  if (header.number != next_number_) {
    return fail(event, NativeError::order, "a BATCH must begin with the number after the last one");
  }
  any_batch_ = true;
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

}  // namespace fastlogd::wire
