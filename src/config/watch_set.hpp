// Which directories can change what a path leads to, and how the files look from outside.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace fastlogd::config {

/// Every directory in which an entry on the way to `path` can be exchanged: the one that holds the file, the
/// one of each symbolic link passed, and where the way ends early, the directory it got to. If `path` is a
/// directory, it belongs to them. Plain ancestors do not: /etc is a busy place. `path` is absolute.
void add_directories_to_watch(const std::string& path, std::set<std::string>& directories);

/// The directories of the main file, of conf.d and of every drop-in.
[[nodiscard]] std::set<std::string> directories_to_watch(const std::string& main_path);

/// What stat(2) tells about one file; all zero when it isn't there.
struct FileLook {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;  ///< ctime: also moves when somebody sets mtime back
  friend bool operator==(const FileLook&, const FileLook&) = default;
};

/// The looks of the main file, conf.d and every drop-in; unequal looks mean that reading again may say more.
[[nodiscard]] std::vector<FileLook> look_at_files(const std::string& main_path);

}  // namespace fastlogd::config
