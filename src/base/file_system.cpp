#include "base/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <memory>

#include <fmt/format.h>

namespace fastlogd {
namespace {

class PosixFileSystem final : public FileSystem {
 public:
  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) return errno_error("open " + path);
    return fd;
  }

  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    int status = 0;
    do {
      status = ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    } while (status != 0 && errno == EINTR);
    if (status == 0) return {};
    if (errno != EOPNOTSUPP) return errno_error(fmt::format("fallocate of {} bytes", bytes));
    return fill_with_zeros(fd, offset, bytes);
  }

  std::uint64_t next_data(int fd, std::uint64_t offset) override {
    const off_t at = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (at >= 0) return static_cast<std::uint64_t>(at);
    return errno == ENXIO ? UINT64_MAX : offset;
  }

  Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(bytes)) != 0) {
      return errno_error("punch hole");
    }
    return {};
  }

  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    void* address = ::mmap(nullptr, bytes, prot, flags, fd, static_cast<off_t>(offset));
    if (address == MAP_FAILED) return errno_error(fmt::format("mmap of {} bytes", bytes));
    return Mapping(address, bytes);
  }

  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n =
          ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(fmt::format("pread at {}", offset + done));
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n =
          ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(fmt::format("pwrite at {}", offset + done));
      done += static_cast<std::size_t>(n);
    }
    return {};
  }

  Result<> sync_data(int fd) override {
    if (::fdatasync(fd) != 0) return errno_error("fdatasync");
    return {};
  }

  Result<> set_mode(int fd, mode_t mode) override {
    if (::fchmod(fd, mode) != 0) return errno_error("fchmod");
    return {};
  }

  Result<> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename " + from + " to " + to);
    return {};
  }

  Result<> unlink(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return errno_error("unlink " + path);
    return {};
  }

  Result<> sync_directory(const std::string& path) override {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno_error("open directory " + path);
    if (::fsync(fd.get()) != 0) return errno_error("fsync directory " + path);
    return {};
  }

  Result<> make_directories(const std::string& path, mode_t mode) override {
    for (std::size_t at = 1; at <= path.size(); ++at) {
      if (at != path.size() && path[at] != '/') continue;
      const std::string prefix = path.substr(0, at);
      if (::mkdir(prefix.c_str(), mode) == 0) {
        // Or a power loss takes the directory with everything that was synced in it.
        const std::size_t slash = prefix.rfind('/');
        const std::string parent = slash == std::string::npos ? "." : prefix.substr(0, slash + 1);
        if (auto done = sync_directory(parent); !done) return done;
      } else if (errno != EEXIST) {
        return errno_error("mkdir " + prefix);
      }
    }
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return errno_error("stat " + path);
    if (!S_ISDIR(info.st_mode)) {
      return Error{std::make_error_code(std::errc::not_a_directory), path};
    }
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) return errno_error("open directory " + path);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;  // readdir(3): the end and an error look alike but for it
      const dirent* const entry = ::readdir(directory.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) return errno_error("read directory " + path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<struct stat> status(const std::string& path) override {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return errno_error("stat " + path);
    return info;
  }

  Result<std::uint64_t> free_bytes(const std::string& path) override {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) return errno_error("statvfs " + path);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }

 private:
  Result<> fill_with_zeros(int fd, std::uint64_t offset, std::uint64_t bytes) {
    static constexpr std::array<std::byte, std::size_t{64} * 1024> kZeros{};
    for (std::uint64_t done = 0; done < bytes; done += kZeros.size()) {
      const std::size_t n = std::min<std::uint64_t>(kZeros.size(), bytes - done);
      if (auto written = write_at(fd, std::span(kZeros).first(n), offset + done); !written) return written;
    }
    return {};
  }
};

}  // namespace

std::uint64_t FileSystem::next_data(int /*fd*/, std::uint64_t offset) {
  return offset;
}

Result<std::size_t> FileSystem::append(int fd, std::span<const std::byte> bytes) {
  ssize_t n = 0;
  do {
    n = ::write(fd, bytes.data(), bytes.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error(fmt::format("write of {} bytes", bytes.size()));
  return static_cast<std::size_t>(n);
}

bool is_no_room(const Error& error) {
  return error.code == std::errc::no_space_on_device ||
         error.code == std::error_code(EDQUOT, std::system_category());
}

bool is_bad_storage(const Error& error) {
  return error.code == std::errc::io_error || error.code == std::errc::bad_message ||
         error.code == std::error_code(EUCLEAN, std::system_category());
}

bool is_disk_trouble(const Error& error) {
  return is_no_room(error) || is_bad_storage(error);
}

FileSystem& posix_file_system() {
  static PosixFileSystem instance;
  return instance;
}

}  // namespace fastlogd
