#include "record/extension.hpp"

#include <algorithm>
#include <cstring>

namespace fastlogd {

void write_extension(const Extension& extension, std::byte* to) {
  const std::size_t total = extension_bytes(extension);
  if (total == 0) return;
  std::memset(to + total - 8, 0, 8);  // the padding
  const bool has_time = extension.sender_time_ns != kNoTime;
  std::memcpy(to, &extension.message_start, 4);
  to[4] = static_cast<std::byte>(extension.procid.size());
  to[5] = static_cast<std::byte>(extension.msgid.size());
  to[6] = static_cast<std::byte>(has_time);
  to[7] = std::byte{0};
  std::byte* at = to + kExtensionFixedBytes;
  if (has_time) {
    std::memcpy(at, &extension.sender_time_ns, sizeof extension.sender_time_ns);
    at += sizeof extension.sender_time_ns;
  }
  // std::copy and not memcpy: an empty view may hold a null pointer.
  auto* text = reinterpret_cast<char*>(at);
  text = std::copy(extension.procid.begin(), extension.procid.end(), text);
  std::copy(extension.msgid.begin(), extension.msgid.end(), text);
}

bool read_extension(std::span<const std::byte> bytes, std::size_t slice_bytes, Extension& into) {
  into = Extension{};
  if (bytes.empty()) return true;
  if (bytes.size() < kExtensionFixedBytes || bytes.size() % 8 != 0) return false;
  const auto procid_bytes = static_cast<std::size_t>(bytes[4]);
  const auto msgid_bytes = static_cast<std::size_t>(bytes[5]);
  const auto has_time = static_cast<unsigned>(bytes[6]);
  if (has_time > 1 || bytes[7] != std::byte{0}) return false;
  const std::size_t used = kExtensionFixedBytes + std::size_t{has_time} * 8 + procid_bytes + msgid_bytes;
  if (((used + 7) & ~std::size_t{7}) != bytes.size()) return false;
  std::memcpy(&into.message_start, bytes.data(), 4);
  if (into.message_start > slice_bytes) return false;
  const auto* at = reinterpret_cast<const char*>(bytes.data()) + kExtensionFixedBytes;
  if (has_time == 1) {
    std::memcpy(&into.sender_time_ns, at, 8);
    at += 8;
  }
  into.procid = std::string_view(at, procid_bytes);
  into.msgid = std::string_view(at + procid_bytes, msgid_bytes);
  return true;
}

}  // namespace fastlogd
