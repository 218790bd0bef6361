// The small extension of a stored record: where the message starts and what the sender's header said that is
// not part of the kept slice. Both the appender (write) and the readers (read) use this one definition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/limits.hpp"
#include "record/record_view.hpp"

namespace fastlogd {

/// Layout, little-endian, padded with zeros to a multiple of 8:
///   0  u32  message_start
///   4  u8   procid length   5  u8  msgid length   6  u8  has sender time (0 or 1)   7  u8  zero
///   8  i64  sender time, ns since the epoch            (only if has sender time)
///   .. procid, msgid
/// A record whose message is its whole slice and that claims nothing else has no extension at all.
struct Extension {
  std::uint32_t message_start = 0;
  std::int64_t sender_time_ns = kNoTime;
  std::string_view procid;
  std::string_view msgid;

  [[nodiscard]] bool empty() const {
    return message_start == 0 && sender_time_ns == kNoTime && procid.empty() && msgid.empty();
  }
};

inline constexpr std::size_t kExtensionBytesMax = 16 + limits::kProcidBytesMax + limits::kMsgidBytesMax;
static_assert(kExtensionBytesMax / 8 <= 255, "its length is stored as one byte of 8-byte words");

inline constexpr std::size_t kExtensionFixedBytes = 8;

/// Bytes that write_extension will use: 0, or a multiple of 8.
[[nodiscard]] inline std::size_t extension_bytes(const Extension& extension) {
  if (extension.empty()) return 0;
  const std::size_t time = extension.sender_time_ns == kNoTime ? 0 : sizeof extension.sender_time_ns;
  return (kExtensionFixedBytes + time + extension.procid.size() + extension.msgid.size() + 7) &
         ~std::size_t{7};
}

/// `to` holds extension_bytes(extension) bytes; all of them are written.
void write_extension(const Extension& extension, std::byte* to);

/// Checks everything against `bytes` and the slice's length. False: the extension is damaged.
[[nodiscard]] bool read_extension(std::span<const std::byte> bytes, std::size_t slice_bytes, Extension& into);

}  // namespace fastlogd
