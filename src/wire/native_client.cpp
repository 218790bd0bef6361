#include "wire/native_client.hpp"

#include <cstring>

#include "base/limits.hpp"
#include "base/result.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t align8(std::size_t n) {
  return (n + 7) & ~std::size_t{7};
}

template <class T>
void put(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T load(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// What a daemon of version 1 sends, by type; 0: it never sends that. ERROR has its own length.
std::size_t reply_bytes(const NativeHeader& header) {
  switch (header.type) {
    case NativeType::welcome:
      return sizeof header + sizeof(NativeWelcomeFields);
    case NativeType::ack:
    case NativeType::refused:
    case NativeType::memory:
      return sizeof header + 8;
    case NativeType::pong:
      return sizeof header;
    case NativeType::error:
      return header.number > limits::kNativeErrorTextBytesMax
                 ? 0
                 : align8(sizeof header + static_cast<std::size_t>(header.number));
    default:
      return 0;
  }
}

/// False: a value that the protocol doesn't have.
bool read_fields(std::string_view message, const NativeHeader& header, NativeReply& reply) {
  switch (header.type) {
    case NativeType::welcome: {
      const auto fields = load<NativeWelcomeFields>(message, sizeof header);
      reply.message_bytes_max = fields.message_bytes_max;
      reply.record_bytes_max = fields.record_bytes_max;
      return fields.version == kNativeVersion && header.number != 0;
    }
    case NativeType::ack:
      reply.stored = header.number;
      reply.synced = load<std::uint64_t>(message, sizeof header);
      return reply.synced <= reply.stored;
    case NativeType::refused:
      reply.last = load<std::uint64_t>(message, sizeof header);
      reply.refusal = static_cast<Refusal>(header.detail);
      return header.detail != 0 && header.number != 0 && header.number <= reply.last;
    case NativeType::memory: {
      const auto fields = load<NativeMemoryFields>(message, sizeof header);
      reply.record_bytes_max = fields.record_bytes_max;
      reply.share_refusal = static_cast<ShareRefusal>(header.detail);
      return (header.detail == 0) == (header.number != 0);
    }
    case NativeType::error:
      reply.error = static_cast<NativeError>(header.detail);
      reply.text = message.substr(sizeof header, static_cast<std::size_t>(header.number));
      return header.detail != 0;
    default:
      return true;
  }
}

}  // namespace

void append_hello(std::string& out, std::uint64_t first_number, std::string_view identifier,
                  std::string_view host, const ClientId& client) {
  FASTLOGD_CHECK(identifier.size() <= 255 && host.size() <= 255);
  const std::size_t client_bytes = client == ClientId{} ? 0 : client.size();
  const std::size_t used =
      sizeof(NativeHeader) + sizeof(NativeHelloFields) + identifier.size() + host.size() + client_bytes;
  out.append(kNativeMagic.data(), kNativeMagic.size());
  put(out, NativeHeader{.bytes = static_cast<std::uint32_t>(align8(used)),
                        .type = NativeType::hello,
                        .number = first_number});
  put(out, NativeHelloFields{.identifier_bytes = static_cast<std::uint8_t>(identifier.size()),
                             .host_bytes = static_cast<std::uint8_t>(host.size()),
                             .client_id_bytes = static_cast<std::uint8_t>(client_bytes)});
  out += identifier;
  out += host;
  out.append(reinterpret_cast<const char*>(client.data()), client_bytes);
  out.append(align8(used) - used, '\0');
}

void append_flush(std::string& out, std::uint64_t number, Wanted wanted) {
  put(out, NativeHeader{.bytes = sizeof(NativeHeader),
                        .type = NativeType::flush,
                        .detail = static_cast<std::uint8_t>(wanted == Wanted::stored ? 1 : 0),
                        .number = number});
}

void append_ping(std::string& out, std::uint64_t number) {
  put(out, NativeHeader{.bytes = sizeof(NativeHeader), .type = NativeType::ping, .number = number});
}

void append_share(std::string& out, std::uint64_t bytes) {
  put(out, NativeHeader{.bytes = sizeof(NativeHeader),
                        .type = NativeType::share,
                        .detail = kSharedLayout,
                        .number = bytes});
}

std::size_t native_record_bytes(const NativeMessage& message) {
  const std::size_t data = message.structured_data.empty() ? 0 : message.structured_data.size() + 1;
  return align8(sizeof(NativeRecordFields) + (message.sender_time_ns == kNoTime ? 0 : 8) +
                message.identifier.size() + message.procid.size() + message.msgid.size() + data +
                message.text.size());
}

NativeBatch::NativeBatch(std::string& out, std::uint64_t first_number, Wanted wanted)
    : out_(out), start_(out.size()) {
  put(out_,
      NativeHeader{
          .type = NativeType::batch, .detail = static_cast<std::uint8_t>(wanted), .number = first_number});
  put(out_, NativeBatchFields{});
}

bool NativeBatch::fits(const NativeMessage& message, std::size_t message_bytes_max) const {
  return out_.size() - start_ + native_record_bytes(message) <= message_bytes_max;
}

void NativeBatch::add(const NativeMessage& message) {
  FASTLOGD_CHECK(message.identifier.size() <= 255 && message.procid.size() <= 255 &&
                 message.msgid.size() <= 255);
  const std::size_t end = out_.size() + native_record_bytes(message);
  const std::size_t data = message.structured_data.empty() ? 0 : message.structured_data.size() + 1;
  const bool has_time = message.sender_time_ns != kNoTime;
  put(out_, NativeRecordFields{
                .slice_bytes = static_cast<std::uint32_t>(data + message.text.size()),
                .message_start = static_cast<std::uint32_t>(data),
                .priority = message.priority.value,
                .flags = static_cast<std::uint8_t>(static_cast<unsigned>(message.wanted) |
                                                   (has_time ? unsigned{NativeRecordFields::kHasTime} : 0U)),
                .identifier_bytes = static_cast<std::uint8_t>(message.identifier.size()),
                .procid_bytes = static_cast<std::uint8_t>(message.procid.size()),
                .msgid_bytes = static_cast<std::uint8_t>(message.msgid.size())});
  if (has_time) put(out_, message.sender_time_ns);
  out_.append(message.identifier).append(message.procid).append(message.msgid);
  if (data != 0) out_.append(message.structured_data).append(1, ' ');
  out_.append(message.text);
  out_.append(end - out_.size(), '\0');
  ++records_;
}

void NativeBatch::finish() {
  if (records_ == 0) {
    out_.resize(start_);
    return;
  }
  const auto bytes = static_cast<std::uint32_t>(out_.size() - start_);
  std::memcpy(out_.data() + start_, &bytes, sizeof bytes);
  std::memcpy(out_.data() + start_ + sizeof(NativeHeader), &records_, sizeof records_);
}

ReplyStatus read_reply(std::string_view bytes, NativeReply& reply, std::size_t& consumed) {
  consumed = 0;
  if (bytes.size() < sizeof(NativeHeader)) return ReplyStatus::more;
  const auto header = load<NativeHeader>(bytes, 0);
  const std::size_t expected = reply_bytes(header);
  if (expected == 0 || header.bytes != expected || header.zero != 0) return ReplyStatus::broken;
  if (bytes.size() < header.bytes) return ReplyStatus::more;
  reply = NativeReply{.type = header.type, .number = header.number};
  if (!read_fields(bytes.substr(0, header.bytes), header, reply)) return ReplyStatus::broken;
  consumed = header.bytes;
  return ReplyStatus::message;
}

}  // namespace fastlogd::wire
