// A FileSystem that hands everything on; a test overrides what it wants to go wrong.
#pragma once

#include "base/file_system.hpp"

namespace fastlogd::test {

class PassingFileSystem : public FileSystem {
 public:
  explicit PassingFileSystem(FileSystem& to = posix_file_system()) : to_(to) {}

  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    return to_.open(path, flags, mode);
  }
  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    return to_.allocate(fd, offset, bytes);
  }
  Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    return to_.punch(fd, offset, bytes);
  }
  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    return to_.map(fd, offset, bytes, prot, flags);
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    return to_.read_at(fd, into, offset);
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    return to_.write_at(fd, bytes, offset);
  }
  Result<std::size_t> append(int fd, std::span<const std::byte> bytes) override {
    return to_.append(fd, bytes);
  }
  Result<> sync_data(int fd) override { return to_.sync_data(fd); }
  Result<> set_mode(int fd, mode_t mode) override { return to_.set_mode(fd, mode); }
  Result<> rename(const std::string& from, const std::string& to) override { return to_.rename(from, to); }
  Result<> unlink(const std::string& path) override { return to_.unlink(path); }
  Result<> sync_directory(const std::string& path) override { return to_.sync_directory(path); }
  Result<> make_directories(const std::string& path, mode_t mode) override {
    return to_.make_directories(path, mode);
  }
  Result<std::vector<std::string>> list(const std::string& path) override { return to_.list(path); }
  Result<struct stat> status(const std::string& path) override { return to_.status(path); }
  Result<std::uint64_t> free_bytes(const std::string& path) override { return to_.free_bytes(path); }

 private:
  FileSystem& to_;
};

}  // namespace fastlogd::test
