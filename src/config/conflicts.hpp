// What no single key shows: values that are fine alone and can't live together.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace fastlogd::config {

/// `path` names the key to change, e.g. "streams.main.text.path".
struct Conflict {
  std::string path;
  std::string message;
};

/// Streams in one another's directories, text files inside them, listeners at one address or without a
/// stream, socket paths the kernel can't take. Looks at values only, never at the file system.
[[nodiscard]] std::vector<Conflict> find_conflicts(const Config& config);

}  // namespace fastlogd::config
