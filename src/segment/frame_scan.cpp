#include "segment/frame_scan.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/crc32c.hpp"
#include "record/extension.hpp"

namespace fastlogd::segment {
namespace {

/// A concurrent writer stores the commit word last, with release.
std::uint64_t load_commit(const std::byte* at) {
  auto* word = const_cast<std::uint64_t*>(reinterpret_cast<const std::uint64_t*>(at));
  return std::atomic_ref<std::uint64_t>(*word).load(std::memory_order_acquire);
}

bool is_known(FrameType type) {
  const auto value = static_cast<std::uint8_t>(type);
  return (value >= 1 && value <= 8) || (value & kSkippableTypeBit) != 0;
}

}  // namespace

FrameStatus check_frame(std::span<const std::byte> bytes, std::uint64_t offset, std::uint32_t salt,
                        FrameView& frame) {
  if (bytes.size() < kFrameHeaderBytes) return FrameStatus::short_bytes;
  const std::uint64_t commit = load_commit(bytes.data());
  if (commit == 0) return FrameStatus::unpublished;
  const std::uint64_t length = commit & 0xffffffff;
  if (length < kFrameHeaderBytes || padded(length) > next_block(offset) - offset) return FrameStatus::invalid;
  if (padded(length) > bytes.size()) return FrameStatus::short_bytes;
  std::array<std::uint64_t, 4> words;  // read once: a mapping can change under us
  std::memcpy(words.data(), bytes.data(), sizeof words);
  words[0] = commit;
  const auto header = std::bit_cast<FrameHeader>(words);
  const auto stored = bytes.subspan(kFrameHeaderBytes, padded(length) - kFrameHeaderBytes);
  const Crc32cHead head{offset, length, words[1], words[2], words[3]};  // as checksum_head() has it
  const auto summed = header.type == FrameType::pad ? std::span<const std::byte>{} : stored;
  if (crc32c(salt, head, summed) != header.crc()) return FrameStatus::invalid;
  if (!is_known(header.type)) return FrameStatus::unknown;
  frame = FrameView{.header = header, .offset = offset, .payload = stored.first(length - kFrameHeaderBytes)};
  return FrameStatus::valid;
}

namespace {

bool decode_extension(std::span<const std::byte> bytes, std::size_t slice_bytes, RecordView& record) {
  Extension extension;
  if (!read_extension(bytes, slice_bytes, extension)) return false;
  record.sender_time_ns = extension.sender_time_ns;
  record.message_start = extension.message_start;
  record.procid = extension.procid;
  record.msgid = extension.msgid;
  return true;
}

}  // namespace

bool decode_record(const FrameView& frame, RecordView& record) {
  const std::size_t extension_size = std::size_t{frame.header.extension_words} * 8;
  if (extension_size > frame.payload.size()) return false;
  const auto slice = frame.payload.subspan(extension_size);
  if (extension_size == 0) {  // a raw line: nothing to look at, and nothing to carry over through the stack
    record.sender_time_ns = kNoTime;
    record.message_start = 0;
    record.procid = record.msgid = {};
  } else if (!decode_extension(frame.payload.first(extension_size), slice.size(), record)) {
    return false;
  }
  record.sequence = Sequence{frame.header.sequence};
  record.receive_time_ns = frame.header.time_ns;
  record.priority = Priority{frame.header.priority};
  record.flags = RecordFlags{frame.header.flags};
  record.slice = std::string_view(reinterpret_cast<const char*>(slice.data()), slice.size());
  return frame.header.priority <= kPriorityMax;
}

Result<SegmentBytes> SegmentBytes::mapped(FileSystem& files, UniqueFd fd, std::uint64_t bytes) {
  auto mapping = files.map(fd.get(), 0, bytes, PROT_READ, MAP_SHARED);
  if (!mapping) return mapping.error();
  SegmentBytes result = buffered(files, std::move(fd), bytes);
  result.mapping_ = std::make_shared<const Mapping>(std::move(*mapping));
  result.length_known_ = false;
  return result;
}

SegmentBytes SegmentBytes::buffered(FileSystem& files, UniqueFd fd, std::uint64_t bytes) {
  SegmentBytes result;
  result.files_ = &files;
  result.fd_ = std::move(fd);
  result.bytes_ = bytes;
  return result;
}

void SegmentBytes::read_ahead(std::size_t bytes) {
  read_bytes_ = bytes;
  if (!mapping_) return;
  const int advice = bytes < kReadAheadBytes ? MADV_RANDOM : MADV_NORMAL;
  (void)::madvise(mapping_->data(), mapping_->size(), advice);  // nothing but time depends on it
}

/// Ahead of the limit, too: a reader that follows the writer comes here once a window. Where the window reaches into a
/// hole of a full tmpfs, which has no page for it, it is made smaller.
Result<> SegmentBytes::populate(std::uint64_t offset, std::size_t wanted) {
  constexpr std::uint64_t kPage = limits::kPageBytes;
  if (!length_known_) {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return errno_error("fstat of a segment");
    if (static_cast<std::uint64_t>(info.st_size) < bytes_) {
      return invalid(fmt::format("a segment of {} bytes was cut short to {}", bytes_, info.st_size));
    }
    length_known_ = true;
  }
  if (offset >= buffer_start_ && offset + wanted <= buffer_end_) return {};
  const std::uint64_t start = offset / kPage * kPage;
  std::uint64_t stop = 0;
  for (std::size_t ahead = std::max(read_bytes_, wanted);; ahead = std::max(ahead / 2, wanted)) {
    stop = std::min({next_block(offset), bytes_, (offset + ahead + kPage - 1) / kPage * kPage});
    if (::madvise(mapping_->data() + start, stop - start, MADV_POPULATE_READ) == 0) break;
    // Any other error says that this kernel (before 5.14) or this kind of memory can't do it.
    if (errno != EFAULT && errno != EHWPOISON && errno != EIO) break;
    if (ahead == wanted) return errno_error(fmt::format("page at {} of a segment", start));
  }
  window_ = mapping_->data() + start;
  buffer_start_ = start;
  buffer_end_ = stop;
  return {};
}

Result<> SegmentBytes::read(std::uint64_t offset, std::uint64_t end, std::size_t wanted) {
  const bool inside = offset >= buffer_start_ && offset < buffer_end_;
  if (inside && buffer_end_ >= std::min<std::uint64_t>(offset + wanted, end)) return {};
  const std::size_t n = std::min<std::uint64_t>(std::max(read_bytes_, wanted), end - offset);
  if (buffer_.size() < n) buffer_.resize(n);
  auto got = files_->read_at(fd_.get(), std::span(buffer_).first(n), offset);
  window_ = buffer_.data();
  buffer_start_ = offset;
  buffer_end_ = offset + (got ? *got : 0);
  if (!got) return got.error();
  return {};
}

Result<std::span<const std::byte>> SegmentBytes::from(std::uint64_t offset, std::uint64_t limit,
                                                      std::size_t wanted) {
  const std::uint64_t end = std::min({limit, next_block(offset), bytes_});
  if (end <= offset) return std::span<const std::byte>{};
  wanted = std::min<std::uint64_t>(wanted, end - offset);
  if (auto done = mapping_ ? populate(offset, wanted) : read(offset, end, wanted); !done) return done.error();
  return at_hand(offset, limit);
}

}  // namespace fastlogd::segment
