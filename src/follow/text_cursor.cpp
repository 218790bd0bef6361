#include "follow/text_cursor.hpp"

#include <fcntl.h>

#include <array>
#include <cstring>
#include <span>

#include "base/crc32c.hpp"

namespace fastlogd::follow {
namespace {

constexpr std::uint64_t kMagic = 0x316372756374786c;  // "lxtcurc1"
constexpr std::size_t kSlotBytes = 4096;
constexpr mode_t kMode = 0640;

/// One slot, in the machine's byte order: the file never leaves the machine. The path follows.
struct SlotHeader {
  std::uint64_t magic = kMagic;
  std::uint64_t generation = 0;
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  std::uint64_t skip = 0;
  std::uint64_t inode = 0;
  std::uint64_t length = 0;
  std::uint32_t path_bytes = 0;
  std::uint32_t checksum = 0;  // of everything else
};
static_assert(sizeof(SlotHeader) == 64);
constexpr std::size_t kPathBytesMax = kSlotBytes - sizeof(SlotHeader);

std::uint32_t checksum_of(SlotHeader header, std::span<const std::byte> path) {
  header.checksum = 0;
  return crc32c(crc32c(0, std::as_bytes(std::span(&header, 1))), path);
}

}  // namespace

Result<CursorFile> CursorFile::open(const std::string& path, FileSystem& files) {
  auto fd = files.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, kMode);
  if (!fd) return fd.error();
  CursorFile file(std::move(*fd), files);
  for (const unsigned slot : {0U, 1U}) {
    if (auto loaded = file.load_slot(slot); !loaded) return loaded.error();
  }
  return file;
}

/// An error says nothing of what is there: taken for no cursor, it would begin the text file anew.
Result<> CursorFile::load_slot(unsigned slot) {
  std::array<std::byte, kSlotBytes> bytes{};
  const auto read = files_->read_at(fd_.get(), bytes, slot * kSlotBytes);
  if (!read) return read.error();
  if (*read < sizeof(SlotHeader)) return {};
  SlotHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.generation <= generation_) return {};
  if (header.path_bytes > *read - sizeof header) return {};
  const std::span path = std::span<const std::byte>(bytes).subspan(sizeof header, header.path_bytes);
  if (checksum_of(header, path) != header.checksum) return {};
  generation_ = header.generation;
  cursor_ = TextCursor{LogPosition{header.position},
                       Sequence{header.sequence},
                       header.skip,
                       header.inode,
                       header.length,
                       std::string(reinterpret_cast<const char*>(path.data()), path.size())};
  return {};
}

Result<> CursorFile::save(const TextCursor& cursor) {
  if (cursor.path.size() > kPathBytesMax) return invalid("the text file's path is too long: " + cursor.path);
  SlotHeader header;
  header.generation = generation_ + 1;
  header.position = cursor.position.value;
  header.sequence = cursor.sequence.value;
  header.skip = cursor.skip;
  header.inode = cursor.inode;
  header.length = cursor.length;
  header.path_bytes = static_cast<std::uint32_t>(cursor.path.size());
  const std::span path = std::as_bytes(std::span(cursor.path));
  header.checksum = checksum_of(header, path);

  std::array<std::byte, kSlotBytes> bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!path.empty()) std::memcpy(bytes.data() + sizeof header, path.data(), path.size());
  const auto used = std::span<const std::byte>(bytes).first(sizeof header + path.size());
  if (auto written = files_->write_at(fd_.get(), used, header.generation % 2 * kSlotBytes); !written) {
    return written;
  }
  generation_ = header.generation;
  cursor_ = cursor;  // reuses the path's storage
  return {};
}

}  // namespace fastlogd::follow
