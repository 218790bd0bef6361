#include "segment/format.hpp"

#include <sys/random.h>

#include <cstring>

#include <fmt/format.h>

#include "base/crc32c.hpp"
#include "base/result.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::array<char, 8> kHeaderMagic{'F', 'L', 'O', 'G', 'S', 'E', 'G', '1'};
constexpr std::array<char, 8> kTrailerMagic{'F', 'L', 'O', 'G', 'E', 'N', 'D', '1'};
constexpr std::size_t kCrcAt = limits::kPageBytes - 4;

template <class T>
Page encode_page(const T& fields) {
  Page page{};
  std::memcpy(page.data(), &fields, sizeof fields);
  const std::uint32_t crc = crc32c(0, std::span(page).first(kCrcAt));
  std::memcpy(page.data() + kCrcAt, &crc, sizeof crc);
  return page;
}

bool page_crc_is_good(std::span<const std::byte> page) {
  std::uint32_t stored = 0;
  std::memcpy(&stored, page.data() + kCrcAt, sizeof stored);
  return crc32c(0, page.first(kCrcAt)) == stored;
}

std::string first_problem(const FileHeader& header, std::uint64_t file_bytes) {
  if (header.major != kFormatMajor)
    return fmt::format("format version {}.{} is not known", header.major, header.minor);
  if (header.incompatible_flags != 0) return fmt::format("needs features {:#x}", header.incompatible_flags);
  if (header.checksum_kind != kChecksumCrc32c)
    return fmt::format("checksum kind {} is not known", header.checksum_kind);
  if (header.header_bytes != kHeaderBytes) return fmt::format("header of {} bytes", header.header_bytes);
  if (!std::has_single_bit(header.segment_bytes) || header.segment_bytes < limits::kSegmentBytesMin ||
      header.segment_bytes > limits::kSegmentBytesMax) {
    return fmt::format("impossible size of {} bytes", header.segment_bytes);
  }
  if (header.segment_bytes != file_bytes) {
    return fmt::format("file has {} bytes, its header says {}", file_bytes, header.segment_bytes);
  }
  return {};
}

bool trailer_is_plausible(const FileTrailer& trailer, const FileHeader& header) {
  const auto state = static_cast<std::uint32_t>(trailer.state);
  const std::uint64_t end = frames_end(header.segment_bytes);
  return trailer.magic == kTrailerMagic && trailer.segment_uuid == header.segment_uuid && state >= 1 &&
         state <= 3 && trailer.end_offset >= kHeaderBytes && trailer.end_offset <= end &&
         trailer.end_offset % 8 == 0 && trailer.last_source_offset < end &&
         trailer.last_source_offset % 8 == 0 && trailer.last_index_offset < end &&
         trailer.last_index_offset % 8 == 0 && trailer.ordered_since <= header.index;
}

}  // namespace

Uuid random_uuid() {
  Uuid uuid{};
  FASTLOGD_CHECK(::getrandom(uuid.data(), uuid.size(), 0) == static_cast<ssize_t>(uuid.size()));
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x40);  // RFC 4122 version 4
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

std::string to_string(const Uuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", uuid[i]);
  }
  return text;
}

std::uint32_t checksum_salt(const Uuid& segment_uuid) {
  return crc32c(0, std::as_bytes(std::span(segment_uuid)));
}

std::uint32_t frame_checksum_start(std::uint32_t salt, std::uint64_t offset, std::uint32_t length,
                                   const FrameHeader& header) {
  const Crc32cHead head = checksum_head(offset, length, header);
  return crc32c(salt, std::as_bytes(std::span(head)));
}

std::uint32_t frame_checksum(std::uint32_t salt, std::uint64_t offset, const FrameHeader& header,
                             std::span<const std::byte> payload) {
  if (header.type == FrameType::pad) return frame_checksum_start(salt, offset, header.length(), header);
  return crc32c(salt, checksum_head(offset, header.length(), header), payload);
}

Page encode(const FileHeader& header) {
  FileHeader complete = header;
  complete.magic = kHeaderMagic;
  complete.major = kFormatMajor;
  complete.minor = kFormatMinor;
  complete.header_bytes = kHeaderBytes;
  complete.checksum_kind = kChecksumCrc32c;
  complete.frame_bytes_max = kFrameBytesMax;
  return encode_page(complete);
}

Page encode(const FileTrailer& trailer) {
  FileTrailer complete = trailer;
  complete.magic = kTrailerMagic;
  complete.zero = 0;
  return encode_page(complete);
}

HeaderCheck decode_header(std::span<const std::byte> page, std::uint64_t file_bytes) {
  FileHeader header{};
  if (page.size() < limits::kPageBytes) return {std::nullopt, "shorter than a header page"};
  std::memcpy(&header, page.data(), sizeof header);
  if (header.magic != kHeaderMagic) return {std::nullopt, "not a fastlogd segment"};
  if (!page_crc_is_good(page.first(limits::kPageBytes))) return {std::nullopt, "header checksum is wrong"};
  if (std::string problem = first_problem(header, file_bytes); !problem.empty())
    return {std::nullopt, problem};
  return {header, {}};
}

std::optional<FileTrailer> decode_trailer(std::span<const std::byte> page, const FileHeader& header) {
  FileTrailer trailer{};
  if (page.size() < limits::kPageBytes) return std::nullopt;
  std::memcpy(&trailer, page.data(), sizeof trailer);
  if (!trailer_is_plausible(trailer, header) || !page_crc_is_good(page.first(limits::kPageBytes)))
    return std::nullopt;
  return trailer;
}

bool all_zero(std::span<const std::byte> bytes) {
  // A buffer whose first byte is zero and that equals itself shifted by one is zero throughout.
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace fastlogd::segment
