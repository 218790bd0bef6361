#include "follow/text_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>

namespace fastlogd::follow {
namespace {

constexpr mode_t kMode = 0640;

bool exists(const std::string& path, FileSystem& files) {
  return files.status(path).has_value();
}

/// The whole file, for this open description.
bool set_lock(int fd, short type) {
  struct flock whole{};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

}  // namespace

Result<TextFile> TextFile::open(const std::string& path, bool create, FileSystem& files) {
  // O_NONBLOCK: opening a FIFO or a device must not hang before fstat has refused it.
  const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (create ? O_CREAT : 0);
  auto fd = files.open(path, flags, kMode);
  if (!fd) {
    if (fd.error().code == std::errc::too_many_symbolic_link_levels) {
      return invalid("text file " + path + " is a symbolic link; a real file is needed");
    }
    return fd.error();
  }
  struct stat info{};
  if (::fstat(fd->get(), &info) != 0) return errno_error("fstat " + path);
  if (!S_ISREG(info.st_mode)) return invalid("text file " + path + " is not a regular file");
  TextFile file(path, std::move(*fd), files);
  file.device_ = info.st_dev;
  file.inode_ = info.st_ino;
  file.length_ = static_cast<std::uint64_t>(info.st_size);
  return file;
}

Result<> TextFile::lock() {
  if (!set_lock(fd_.get(), F_WRLCK) && (errno == EAGAIN || errno == EACCES)) {
    return Error{std::make_error_code(std::errc::device_or_resource_busy),
                 "text file " + path_ + " is being written by another fastlogd"};
  }
  struct stat info{};
  if (::fstat(fd_.get(), &info) != 0) return errno_error("fstat " + path_);
  length_ = static_cast<std::uint64_t>(info.st_size);  // whoever had the lock wrote until now
  locked_ = true;
  return {};
}

void TextFile::unlock() {
  (void)set_lock(fd_.get(), F_UNLCK);
  locked_ = false;
}

Result<std::size_t> TextFile::append(std::span<const char> bytes) {
  auto written = files_->append(fd_.get(), std::as_bytes(bytes));
  if (!written) {
    Error error = written.error();
    error.context = path_ + ": " + error.context;
    return error;
  }
  length_ += *written;
  return written;
}

Result<std::size_t> TextFile::read_at(std::span<char> into, std::uint64_t offset) const {
  return files_->read_at(fd_.get(), std::as_writable_bytes(into), offset);
}

TextFile::Name TextFile::look_up() {
  const auto found = files_->status(path_);
  if (!found) return Name::missing;
  if (found->st_ino != inode_) return Name::foreign;
  length_ = static_cast<std::uint64_t>(found->st_size);
  return Name::ours;
}

std::string rotated_name(const std::string& path, unsigned number) {
  return fmt::format("{}.{}", path, number);
}

Result<> make_way(const std::string& path, unsigned keep, FileSystem& files) {
  if (!exists(path, files)) return {};
  // More than are kept any longer, after `keep` was lowered.
  for (unsigned extra = keep + 1; exists(rotated_name(path, extra), files); ++extra) {
    if (auto removed = files.unlink(rotated_name(path, extra)); !removed) return removed;
  }
  if (keep == 0) return files.unlink(path);
  unsigned free_number = 1;
  while (free_number < keep && exists(rotated_name(path, free_number), files)) ++free_number;
  // rename(2) replaces the oldest in one step.
  for (unsigned to = free_number; to > 1; --to) {
    if (auto moved = files.rename(rotated_name(path, to - 1), rotated_name(path, to)); !moved) return moved;
  }
  return files.rename(path, rotated_name(path, 1));
}

}  // namespace fastlogd::follow
