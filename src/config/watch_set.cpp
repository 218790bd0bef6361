#include "config/watch_set.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <deque>
#include <string_view>

#include "base/clock.hpp"
#include "config/sources.hpp"

namespace fastlogd::config {
namespace {

constexpr int kLinksMax = 40;  // path_resolution(7)

/// Puts the parts of `path` before those in `parts`.
void prepend_parts(std::string_view path, std::deque<std::string>& parts) {
  std::deque<std::string> before;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") before.emplace_back(part);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  parts.insert(parts.begin(), before.begin(), before.end());
}

std::string join(const std::string& directory, const std::string& name) {
  std::string path = directory;
  if (path != "/") path += '/';
  return path += name;
}

/// `directory` is absolute.
std::string parent_of(const std::string& directory) {
  const std::size_t slash = directory.rfind('/');
  return directory.substr(0, std::max<std::size_t>(slash, 1));
}

std::string read_link(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
  return n > 0 ? std::string(target.data(), static_cast<std::size_t>(n)) : std::string();
}

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

FileLook look_at(const std::string& path) {
  FileLook look;
  look.path = path;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return look;
  look.device = info.st_dev;
  look.inode = info.st_ino;
  look.size = info.st_size;
  look.modified_ns = nanoseconds(info.st_mtim);
  look.changed_ns = nanoseconds(info.st_ctim);
  return look;
}

}  // namespace

void add_directories_to_watch(const std::string& path, std::set<std::string>& directories) {
  std::deque<std::string> parts;
  prepend_parts(path, parts);
  std::string at = "/";
  int links = 0;
  while (!parts.empty()) {
    const std::string part = parts.front();
    parts.pop_front();
    if (part == "..") {
      at = parent_of(at);
      continue;
    }
    const std::string next = join(at, part);
    struct stat info{};
    const bool found = ::lstat(next.c_str(), &info) == 0;
    if (found && S_ISDIR(info.st_mode)) {
      at = next;
    } else if (found && S_ISLNK(info.st_mode) && ++links <= kLinksMax) {
      directories.insert(at);
      const std::string target = read_link(next);
      prepend_parts(target, parts);
      if (target.starts_with('/')) at.resize(1);  // the root
    } else {
      break;  // a file, nothing, or a loop of links: the way ends in `at`
    }
  }
  directories.insert(at);
}

std::set<std::string> directories_to_watch(const std::string& main_path) {
  std::set<std::string> directories;
  add_directories_to_watch(main_path, directories);
  add_directories_to_watch(drop_in_directory(main_path), directories);
  for (const SourceFile& drop_in : list_drop_ins(main_path))
    add_directories_to_watch(drop_in.path, directories);
  return directories;
}

std::vector<FileLook> look_at_files(const std::string& main_path) {
  std::vector<FileLook> looks{look_at(main_path), look_at(drop_in_directory(main_path))};
  for (const SourceFile& drop_in : list_drop_ins(main_path)) looks.push_back(look_at(drop_in.path));
  return looks;
}

}  // namespace fastlogd::config
