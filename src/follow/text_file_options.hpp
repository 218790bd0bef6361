// What the configuration says of a stream's text file.
#pragma once

#include <cstdint>
#include <string>

#include "base/limits.hpp"

namespace fastlogd::follow {

/// Live-changeable, the path included.
struct TextFileOptions {
  std::string path;                                 ///< a real file, no symlink
  std::uint64_t rotate_bytes = 100 * limits::kMiB;  ///< 0: never rotate by size
  unsigned keep = 10;                               ///< rotated files kept: path.1 (newest) .. path.N
  friend bool operator==(const TextFileOptions&, const TextFileOptions&) = default;
};

}  // namespace fastlogd::follow
