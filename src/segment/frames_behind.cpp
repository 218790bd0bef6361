#include "segment/frames_behind.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "segment/frame_scan.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::uint64_t kSequenceMax = std::uint64_t{1} << 63;  // so that counting on can't wrap

std::uint64_t told_by(const FrameHeader& header) {
  if (header.sequence == 0 || header.sequence > kSequenceMax) return 0;
  return header.type == FrameType::data ? header.sequence : header.sequence - 1;
}

class FrameSearch {
 public:
  FrameSearch(FileSystem& files, int fd, const FileHeader& header)
      : files_(files), fd_(fd), salt_(checksum_salt(header.segment_uuid)), buffer_(kBlockBytes) {}

  FramesBehind run(std::uint64_t from, std::uint64_t end) {
    for (std::uint64_t at = files_.next_data(fd_, from); at < end;
         at = files_.next_data(fd_, next_block(at))) {
      const auto bytes = std::span(buffer_).first(std::min(next_block(at), end) - at);
      read(at, bytes);
      search(at, bytes);
    }
    return behind_;
  }

 private:
  /// Fills `into`; what can't be read is zero, and no frame with it is whole.
  void read(std::uint64_t offset, std::span<std::byte> into) {
    const auto whole = files_.read_at(fd_, into, offset);
    if (whole && *whole == into.size()) return;
    for (std::size_t done = 0; done < into.size();) {
      const std::uint64_t left_of_page = limits::kPageBytes - (offset + done) % limits::kPageBytes;
      const auto part = into.subspan(done, std::min<std::uint64_t>(left_of_page, into.size() - done));
      const auto got = files_.read_at(fd_, part, offset + done);
      const auto missing = part.subspan(got ? *got : 0);
      std::fill(missing.begin(), missing.end(), std::byte{0});
      done += part.size();
    }
  }

  void search(std::uint64_t offset, std::span<const std::byte> bytes) {
    FrameView frame;
    for (std::size_t at = 0; at + kFrameHeaderBytes <= bytes.size();) {
      const auto rest = bytes.subspan(at);
      if (!is_news(rest) || check_frame(rest, offset + at, salt_, frame) != FrameStatus::valid) {
        at += 8;
        continue;
      }
      behind_ = {.told_sequence = told_by(frame.header), .told_time_ns = frame.header.time_ns};
      at += frame.end() - frame.offset;
    }
  }

  /// Asked before the checksum, which may be one of half a MiB: bytes that are no frame say anything of their length.
  [[nodiscard]] bool is_news(std::span<const std::byte> bytes) const {
    FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return told_by(header) > behind_.told_sequence;
  }

  FileSystem& files_;
  int fd_;
  std::uint32_t salt_;
  std::vector<std::byte> buffer_;
  FramesBehind behind_;
};

}  // namespace

FramesBehind look_at_frames(FileSystem& files, int fd, const FileHeader& header, std::uint64_t from) {
  return FrameSearch(files, fd, header).run(from, frames_end(header.segment_bytes));
}

}  // namespace fastlogd::segment
