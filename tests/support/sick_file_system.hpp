// A FileSystem that refuses frames of segments.
#pragma once

#include <atomic>
#include <cerrno>

#include "base/limits.hpp"
#include "segment/format.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::test {

/// Fails writes of frames (not of headers and trailers), as often as `failures` says, `spared` ones before them.
class SickFileSystem : public PassingFileSystem {
 public:
  static constexpr std::uint64_t kSegmentBytes = 2 * limits::kMiB;  ///< what a test has to configure

  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    const bool in_frames = offset >= segment::kHeaderBytes && offset < segment::frames_end(kSegmentBytes);
    const bool frames = in_frames && !segment::all_zero(bytes);  // what takes a batch back is no try
    if (frames && spared.load() > 0) {
      spared.fetch_sub(1);
    } else if (frames && failures.load() > 0) {
      failures.fetch_sub(1);
      return Error{std::error_code(error, std::system_category()), "pwrite"};
    }
    return PassingFileSystem::write_at(fd, bytes, offset);
  }
  std::atomic<int> failures{0};
  std::atomic<int> spared{0};
  int error = EIO;
};

}  // namespace fastlogd::test
