// The bytes a configuration is made of: the main file and its drop-ins, read once, compared as a whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fastlogd::config {

inline constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kDropInsMax = 64;

/// One file as it was found: its bytes, or why there are none.
struct SourceFile {
  std::string path;
  std::string bytes;
  std::string error;     ///< empty when `bytes` holds the whole file
  bool missing = false;  ///< the error is that there is no such file
  friend bool operator==(const SourceFile&, const SourceFile&) = default;
};

/// Equal means: the same files with the same bytes and the same errors, so loading again would say the same.
struct Sources {
  std::vector<SourceFile> files;  ///< the main file, then drop-ins in the order of their names
  friend bool operator==(const Sources&, const Sources&) = default;
};

/// The directory of a main file's drop-ins: "conf.d" beside it.
[[nodiscard]] std::string drop_in_directory(std::string_view main_path);

/// Paths of the drop-ins: names that end in ".yaml" and don't begin with a dot, sorted by name.
/// An absent directory has none; one that can't be listed gives one SourceFile with the error.
[[nodiscard]] std::vector<SourceFile> list_drop_ins(std::string_view main_path);

/// Reads everything; never fails as a whole, each file says for itself.
[[nodiscard]] Sources read_sources(const std::string& main_path);

}  // namespace fastlogd::config
