// A FileSystem that fails what a test asks it to fail. Calls of any thread.
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "support/passing_file_system.hpp"

namespace fastlogd::test {

enum class Op : std::uint8_t {
  open,
  allocate,
  punch,
  map,
  read,
  write,
  sync,
  set_mode,
  rename,
  unlink,
  sync_directory,
  list,
};
inline constexpr std::size_t kOps = 12;

class FaultyFileSystem : public PassingFileSystem {
 public:
  /// From now on the `first`-th call of `op` and those behind it, `times` in all, fail with `error`.
  void fail(Op op, int error, std::uint64_t first = 1, std::uint64_t times = ~std::uint64_t{0}) {
    const std::lock_guard lock(mutex_);
    faults_[index(op)] = Fault{.error = error, .wait = first - 1, .times = times};
  }
  /// The `first`-th call of anything fails, whatever it is, and `times` - 1 behind it.
  void fail_any(int error, std::uint64_t first, std::uint64_t times = 1) {
    const std::lock_guard lock(mutex_);
    any_ = Fault{.error = error, .wait = first - 1, .times = times};
  }
  void heal() {
    const std::lock_guard lock(mutex_);
    faults_ = {};
    any_.reset();
  }
  [[nodiscard]] std::uint64_t calls(Op op) const { return calls_[index(op)].load(); }
  [[nodiscard]] std::uint64_t failures() const { return failures_.load(); }
  /// A failing sync waits for a file of the log: one that is being prepared, at any time, does not take it away.
  std::atomic<bool> spare_temporaries{false};

  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    if (const auto error = fault(Op::open)) return failed(*error, "open " + path);
    return PassingFileSystem::open(path, flags, mode);
  }
  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    if (const auto error = fault(Op::allocate)) return failed(*error, "fallocate");
    return PassingFileSystem::allocate(fd, offset, bytes);
  }
  Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    if (const auto error = fault(Op::punch)) return failed(*error, "punch hole");
    return PassingFileSystem::punch(fd, offset, bytes);
  }
  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    if (const auto error = fault(Op::map)) return failed(*error, "mmap");
    return PassingFileSystem::map(fd, offset, bytes, prot, flags);
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    if (const auto error = fault(Op::read)) return failed(*error, "pread");
    return PassingFileSystem::read_at(fd, into, offset);
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (const auto error = fault(Op::write)) return failed(*error, "pwrite");
    return PassingFileSystem::write_at(fd, bytes, offset);
  }
  Result<> sync_data(int fd) override {
    if (spare_temporaries && is_temporary(fd)) return PassingFileSystem::sync_data(fd);
    if (const auto error = fault(Op::sync)) return failed(*error, "fdatasync");
    return PassingFileSystem::sync_data(fd);
  }
  Result<> set_mode(int fd, mode_t mode) override {
    if (const auto error = fault(Op::set_mode)) return failed(*error, "fchmod");
    return PassingFileSystem::set_mode(fd, mode);
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (const auto error = fault(Op::rename)) return failed(*error, "rename " + from);
    return PassingFileSystem::rename(from, to);
  }
  Result<> unlink(const std::string& path) override {
    if (const auto error = fault(Op::unlink)) return failed(*error, "unlink " + path);
    return PassingFileSystem::unlink(path);
  }
  Result<> sync_directory(const std::string& path) override {
    if (const auto error = fault(Op::sync_directory)) return failed(*error, "fsync " + path);
    return PassingFileSystem::sync_directory(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    if (const auto error = fault(Op::list)) return failed(*error, "opendir " + path);
    return PassingFileSystem::list(path);
  }

 private:
  struct Fault {
    int error = 0;
    std::uint64_t wait = 0;
    std::uint64_t times = 0;
  };
  static std::size_t index(Op op) { return static_cast<std::size_t>(op); }
  static Error failed(int error, std::string context) {
    return Error{std::error_code(error, std::system_category()), std::move(context)};
  }
  std::optional<int> fault(Op op) {
    calls_[index(op)].fetch_add(1);
    const std::lock_guard lock(mutex_);
    for (std::optional<Fault>* fault : {&faults_[index(op)], &any_}) {
      if (!*fault) continue;
      if ((*fault)->wait > 0) {
        --(*fault)->wait;
      } else if ((*fault)->times > 0) {
        --(*fault)->times;
        failures_.fetch_add(1);
        return (*fault)->error;
      }
    }
    return std::nullopt;
  }

  static bool is_temporary(int fd) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error)
        .native()
        .ends_with(".tmp");
  }

  std::mutex mutex_;
  std::array<std::optional<Fault>, kOps> faults_;
  std::optional<Fault> any_;
  std::array<std::atomic<std::uint64_t>, kOps> calls_{};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace fastlogd::test
