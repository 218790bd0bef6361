#include "wire/first_bytes.hpp"

#include <array>

#include "wire/native_format.hpp"

namespace fastlogd::wire {
namespace {

struct ByteRange {
  std::uint8_t first;
  std::uint8_t last;
};

constexpr ByteRange only(std::uint8_t byte) {
  return {byte, byte};
}
constexpr ByteRange kAnyByte{0, 255};

struct Signature {
  FirstBytes kind;
  std::size_t bytes;
  std::array<ByteRange, kFirstBytes> ranges;
};

constexpr Signature native_signature() {
  static_assert(kNativeMagic.size() == kFirstBytes);
  Signature signature{FirstBytes::native, kNativeMagic.size(), {}};
  for (std::size_t i = 0; i < kNativeMagic.size(); ++i) {
    signature.ranges[i] = only(static_cast<std::uint8_t>(kNativeMagic[i]));
  }
  return signature;
}

constexpr std::array kSignatures{
    native_signature(),
    // RFC 8446 section 5.1: handshake record, version 3.0 to 3.4, length up to 2^14, ClientHello.
    Signature{FirstBytes::tls, 6, {only(0x16), only(0x03), {0x00, 0x04}, {0x00, 0x40}, kAnyByte, only(0x01)}},
    // RFC 1952 section 2.3.1: magic and the only method there is.
    Signature{FirstBytes::gzip, 3, {only(0x1f), only(0x8b), only(0x08)}},
    // RFC 1950 section 2.2: window of 32 KiB, the levels of zlib. Level 2..5 (0x5e, "x^") would be text. 0x9c
    // can't
    // follow an x in UTF-8; 0xda can, with a continuation byte behind it.
    Signature{FirstBytes::zlib, 2, {only(0x78), only(0x01)}},
    Signature{FirstBytes::zlib, 2, {only(0x78), only(0x9c)}},
    Signature{FirstBytes::zlib, 3, {only(0x78), only(0xda), {0x00, 0x7f}}},
    Signature{FirstBytes::zlib, 3, {only(0x78), only(0xda), {0xc0, 0xff}}},
    // A 32-bit length and a dict pickled with protocol 1 (SocketHandler.makePickle), or with 2 to 5.
    Signature{FirstBytes::pickle, 6, {only(0x00), only(0x00), kAnyByte, kAnyByte, only('}'), only('q')}},
    Signature{FirstBytes::pickle, 6, {only(0x00), only(0x00), kAnyByte, kAnyByte, only(0x80), {0x02, 0x05}}},
};

bool agrees(const Signature& signature, std::string_view bytes) {
  for (std::size_t i = 0; i < signature.bytes && i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (byte < signature.ranges[i].first || byte > signature.ranges[i].last) return false;
  }
  return true;
}

}  // namespace

FirstBytes classify_first_bytes(std::string_view bytes) {
  bool open = false;
  for (const Signature& signature : kSignatures) {
    if (!agrees(signature, bytes)) continue;
    if (bytes.size() >= signature.bytes) return signature.kind;
    open = true;
  }
  return open ? FirstBytes::undecided : FirstBytes::text;
}

std::string_view refusal_text(FirstBytes kind) {
  switch (kind) {
    case FirstBytes::text:
    case FirstBytes::undecided:
      break;
    case FirstBytes::tls:
      return "the peer speaks TLS, this listener takes plain text";
    case FirstBytes::gzip:
      return "the peer sends a raw gzip stream, this listener takes plain text";
    case FirstBytes::zlib:
      return "the peer sends a raw zlib stream, this listener takes plain text";
    case FirstBytes::pickle:
      return "the peer sends Python pickles (logging.handlers.SocketHandler), use SysLogHandler";
    case FirstBytes::native:
      return "the peer speaks fastlogd's native protocol, this listener's format is not auto";
  }
  return {};
}

}  // namespace fastlogd::wire
