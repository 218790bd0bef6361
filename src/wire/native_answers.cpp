// What the daemon says in the native protocol.
#include <algorithm>
#include <cstring>

#include "wire/native.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t align8(std::size_t n) {
  return (n + 7) & ~std::size_t{7};
}

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

std::size_t write_memory(std::span<char> to, std::uint64_t capacity, std::size_t record_bytes_max) {
  return Message(to, NativeType::memory, 0, capacity)
      .put(NativeMemoryFields{.record_bytes_max = static_cast<std::uint32_t>(record_bytes_max)})
      .finish();
}

std::size_t write_memory_refused(std::span<char> to, ShareRefusal why) {
  return Message(to, NativeType::memory, static_cast<std::uint8_t>(why), 0)
      .put(NativeMemoryFields{})
      .finish();
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
    case NativeError::not_yet:
      return "not_yet";
  }
  return "unknown";
}

std::string_view share_refusal_name(ShareRefusal refusal) {
  switch (refusal) {
    case ShareRefusal::none:
      return "none";
    case ShareRefusal::not_here:
      return "not_here";
    case ShareRefusal::off:
      return "off";
    case ShareRefusal::quota:
      return "quota";
    case ShareRefusal::no_memory:
      return "no_memory";
  }
  return "unknown";
}

}  // namespace fastlogd::wire
