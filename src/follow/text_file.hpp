// One growing text file and its rotated predecessors: path, path.1 (the newest) .. path.N.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fastlogd::follow {

/// Knows nothing of logs or cursors. One thread; every step goes through the FileSystem and leaves names that
/// a restart can go on from.
class TextFile {
 public:
  /// Opens `path` for appending. `create`: makes it if it is missing. Refuses anything but a regular file
  /// under its own name: a symbolic link could lead the daemon's writes anywhere.
  [[nodiscard]] static Result<TextFile> open(const std::string& path, bool create, FileSystem& files);

  /// Keeps other daemons from writing it, for as long as it is open. Fails with device_or_resource_busy where one does,
  /// or where it is open and locked a second time. A file system without locks has none. Takes the length anew.
  [[nodiscard]] Result<> lock();
  /// For another one who waits for this file. Not to be appended to before the next lock().
  void unlock();
  [[nodiscard]] bool is_locked() const { return locked_; }

  /// One write(2); returns the bytes that were written, which may be fewer.
  [[nodiscard]] Result<std::size_t> append(std::span<const char> bytes);
  /// Bytes at `offset`, as many as there are.
  [[nodiscard]] Result<std::size_t> read_at(std::span<char> into, std::uint64_t offset) const;

  /// What the name leads to now, as far as the open file is concerned.
  enum class Name : std::uint8_t { ours, missing, foreign };
  /// Looks the path up; takes the length from it if the file is ours, because others may truncate it.
  [[nodiscard]] Name look_up();

  [[nodiscard]] bool is_same_file(const TextFile& other) const {
    return device_ == other.device_ && inode_ == other.inode_;
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t inode() const { return inode_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }
  /// The file has been found under another name than the one to look for.
  void set_path(const std::string& path) { path_ = path; }

 private:
  TextFile(std::string path, UniqueFd fd, FileSystem& files)
      : path_(std::move(path)), fd_(std::move(fd)), files_(&files) {}

  std::string path_;
  UniqueFd fd_;
  FileSystem* files_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::uint64_t length_ = 0;
  bool locked_ = false;
};

/// "path.3"
[[nodiscard]] std::string rotated_name(const std::string& path, unsigned number);

/// Moves path.(N-1) .. path to path.N .. path.1, the oldest of `keep` falling off; with 0 the file itself is
/// removed. Stops at the first free number, so that a rotation that was interrupted and is run again moves
/// nothing twice. Afterwards `path` is free, or an error says which step failed and running it again goes on
/// from there.
[[nodiscard]] Result<> make_way(const std::string& path, unsigned keep, FileSystem& files);

}  // namespace fastlogd::follow
