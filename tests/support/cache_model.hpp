// Persistent memory behind a CPU cache, in the process: a file system that grants MAP_SYNC, and a Persist that knows
// which cache lines of its mappings have really reached the memory.
//
// The model. A store changes the cache. A line reaches the memory when it was written back and a fence came behind
// that, or - at any moment, by itself - because the cache had no room for it. So at a power loss every line holds what
// was last fenced, or what was written back and not fenced, or what was last stored; each line for itself.
#pragma once

#include <fcntl.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/persist.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::test {

class CacheModel : public Persist {
 public:
  /// Called at every write-back and fence, before and after it takes effect: the moments at which power may fail.
  std::function<void()> moment;

  void write_back(std::span<const std::byte> bytes) override {
    if (moment) moment();
    const std::lock_guard lock(mutex_);
    for (auto& [path, region] : regions_) region.write_back(bytes);
  }
  void fence() override {
    if (moment) moment();
    {
      const std::lock_guard lock(mutex_);
      for (auto& [path, region] : regions_) region.fence();
    }
    if (moment) moment();
  }

  /// Writes the files as a power loss might leave them into `directory`. Each line that was not fenced survives with
  /// `percent` percent.
  void crash(const std::string& directory, std::mt19937_64& random, unsigned percent) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    const std::lock_guard lock(mutex_);
    for (auto& [path, region] : regions_) {
      const std::vector<std::byte> left = region.crash(random, percent);
      const UniqueFd fd(::open((directory + "/" + std::filesystem::path(path).filename().string()).c_str(),
                               O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      FASTLOGD_CHECK(::pwrite(fd.get(), left.data(), left.size(), 0) == static_cast<ssize_t>(left.size()));
    }
  }

  // ---- the file system's side ----

  /// A mapping of the file was handed out; what the file holds now counts as durable.
  void add(const std::string& path, const std::byte* mapped, std::size_t bytes, int fd) {
    void* own = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);  // outlives the daemon's mapping
    FASTLOGD_CHECK(own != MAP_FAILED);
    const std::lock_guard lock(mutex_);
    regions_.insert_or_assign(path, Region(mapped, Mapping(own, bytes)));
  }
  /// The kernel itself wrote or punched there, and syncs it.
  void settled(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (const auto found = regions_.find(path); found != regions_.end()) found->second.settle(offset, bytes);
  }

 private:
  class Region {
   public:
    Region(const std::byte* mapped, Mapping own)
        : mapped_(mapped), own_(std::move(own)), durable_(own_.bytes().begin(), own_.bytes().end()) {}

    void write_back(std::span<const std::byte> bytes) {
      const std::byte* end = mapped_ + own_.size();
      if (bytes.data() < mapped_ || bytes.data() >= end) return;
      const auto from = static_cast<std::size_t>(bytes.data() - mapped_) / kCacheLineBytes * kCacheLineBytes;
      const auto to = static_cast<std::size_t>(bytes.data() - mapped_) + bytes.size();
      for (std::size_t at = from; at < to; at += kCacheLineBytes) {
        std::memcpy(on_its_way_[at].data(), own_.data() + at, kCacheLineBytes);
      }
    }
    void fence() {
      for (const auto& [at, line] : on_its_way_) std::memcpy(durable_.data() + at, line.data(), line.size());
      on_its_way_.clear();
    }
    void settle(std::uint64_t offset, std::uint64_t bytes) {
      std::memcpy(durable_.data() + offset, own_.data() + offset, bytes);
    }
    [[nodiscard]] std::vector<std::byte> crash(std::mt19937_64& random, unsigned percent) const {
      std::vector<std::byte> left = durable_;
      for (std::size_t at = 0; at < left.size(); at += kCacheLineBytes) {
        if (std::memcmp(left.data() + at, own_.data() + at, kCacheLineBytes) == 0) continue;
        if (random() % 100 >= percent) continue;
        const auto found = on_its_way_.find(at);
        const bool older = found != on_its_way_.end() && random() % 2 == 0;
        std::memcpy(left.data() + at, older ? found->second.data() : own_.data() + at, kCacheLineBytes);
      }
      return left;
    }

   private:
    const std::byte* mapped_;  ///< where the daemon has it; only compared, never read
    Mapping own_;
    std::vector<std::byte> durable_;
    std::map<std::size_t, std::array<std::byte, kCacheLineBytes>> on_its_way_;
  };

  std::mutex mutex_;
  std::map<std::string, Region> regions_;
};

/// Grants MAP_SYNC on any file, as a file system on persistent memory does, and tells the model of every mapping.
class DaxFileSystem : public PassingFileSystem {
 public:
  explicit DaxFileSystem(CacheModel* model = nullptr) : model_(model) {}

  Result<Mapping> map(int fd, std::uint64_t offset, std::size_t bytes, int prot, int flags) override {
    const bool sync = (flags & MAP_SYNC) != 0;
    auto mapping = PassingFileSystem::map(fd, offset, bytes, prot, sync ? MAP_SHARED : flags);
    if (mapping && sync && model_ != nullptr) model_->add(path_of(fd), mapping->data(), bytes, fd);
    return mapping;
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    auto done = PassingFileSystem::write_at(fd, bytes, offset);
    if (done && model_ != nullptr) model_->settled(path_of(fd), offset, bytes.size());
    return done;
  }
  Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    auto done = PassingFileSystem::punch(fd, offset, bytes);
    if (done && model_ != nullptr) model_->settled(path_of(fd), offset, bytes);
    return done;
  }

 private:
  static std::string path_of(int fd) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
  }
  CacheModel* model_;
};

}  // namespace fastlogd::test
