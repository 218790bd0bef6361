// The one seam to the file system. The store performs every file operation through it, so that a test can
// fail any of them, forget what was not synced, and crash after each.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mapping.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fastlogd {

/// All methods may be called from any thread. Errors carry the operation and the path or descriptor.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  [[nodiscard]] virtual Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) = 0;
  /// Reserves blocks for [offset, offset + bytes) and grows the file (fallocate mode 0; zero-fills where
  /// unsupported, because a sparse file would turn a full disk into SIGBUS).
  [[nodiscard]] virtual Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// Gives the blocks back without changing the size (FALLOC_FL_PUNCH_HOLE|KEEP_SIZE).
  [[nodiscard]] virtual Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// `prot` and `flags` as for mmap(2).
  [[nodiscard]] virtual Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot,
                                            int flags) = 0;
  /// Reads until the span is full or the file ends; returns the bytes read.
  [[nodiscard]] virtual Result<std::size_t> read_at(int fd, std::span<std::byte> into,
                                                    std::uint64_t offset) = 0;
  /// The first place at or behind `offset` that may hold something but zeros (lseek SEEK_DATA): there is nothing to be
  /// found in a hole. UINT64_MAX: none is left. `offset` itself where the file system can't tell.
  [[nodiscard]] virtual std::uint64_t next_data(int fd, std::uint64_t offset);
  /// Writes all or fails.
  [[nodiscard]] virtual Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) = 0;
  /// One write(2) to a descriptor opened with O_APPEND: may write less than asked; returns the bytes written.
  [[nodiscard]] virtual Result<std::size_t> append(int fd, std::span<const std::byte> bytes);
  /// fdatasync. A failure is final: the kernel may drop the dirty pages and report success next time.
  [[nodiscard]] virtual Result<> sync_data(int fd) = 0;
  [[nodiscard]] virtual Result<> set_mode(int fd, mode_t mode) = 0;
  [[nodiscard]] virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Result<> unlink(const std::string& path) = 0;
  [[nodiscard]] virtual Result<> sync_directory(const std::string& path) = 0;
  /// Creates the directory and missing parents with `mode`, and syncs the directory that each new one is in.
  [[nodiscard]] virtual Result<> make_directories(const std::string& path, mode_t mode) = 0;
  /// Names (not paths) of the entries, without "." and "..", sorted. All of them, or an error.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  [[nodiscard]] virtual Result<struct stat> status(const std::string& path) = 0;
  /// Bytes free to an ordinary user on the file system of `path`.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
};

/// The disk or its file system could not: no room, or bad storage. That may pass, unlike what one may not do, or what
/// does not exist.
[[nodiscard]] bool is_disk_trouble(const Error& error);
/// Of these: no room (ENOSPC, EDQUOT).
[[nodiscard]] bool is_no_room(const Error& error);
/// Of these: an error of the device (EIO), or a file system that finds itself damaged (EUCLEAN, EBADMSG: what ext4, XFS and
/// btrfs mean by EFSCORRUPTED and EFSBADCRC).
[[nodiscard]] bool is_bad_storage(const Error& error);

/// The real one. Stateless, lives as long as the program.
[[nodiscard]] FileSystem& posix_file_system();

}  // namespace fastlogd
