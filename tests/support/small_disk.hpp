// A disk that is full when it holds so many segments.
#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "segment/segment_file.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::test {

/// Of one thread at a time.
class SmallDisk : public PassingFileSystem {
 public:
  SmallDisk(std::string directory, std::size_t segments)
      : directory_(std::move(directory)), segments_(segments) {}
  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    if (monotonic_ns() - std::exchange(refused_at_ns_, monotonic_ns()) >= 200 * kNanosPerMilli) ++pauses;
    if (segment::list_segments(*this, directory_).value().size() >= segments_) {
      return Error{std::error_code(ENOSPC, std::system_category()), "fallocate"};
    }
    refused_at_ns_ = kNever;
    return PassingFileSystem::allocate(fd, offset, bytes);
  }
  std::uint64_t pauses = 0;  ///< between a refusal and the next try

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  std::string directory_;
  std::size_t segments_;
  std::int64_t refused_at_ns_ = kNever;
};

}  // namespace fastlogd::test
