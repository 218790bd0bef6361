// A file system over a disk that forgets: what the program sees is real files, what a power loss would leave of them
// is kept beside. Calls of any thread; one at a time.
//
//   page cache  the real files in `directory` (on tmpfs), stores through a MAP_SHARED mapping included
//   disk        per file: its bytes as of its last sync, plus pages that write-back took along at random moments
//   names       what the directory's last sync saw, and the changes since then, each of which may reach the disk
//
// crash_image() builds what a machine could find after losing power now: per changed page nothing, all, or any subset
// of its 512-byte sectors; the old or the new size; the names with an ordered prefix or any subset of the changes.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::test {

inline constexpr std::size_t kSectorBytes = 512;

/// Rules that a wrong store would break; the disk behaves as if the store had broken them.
enum class Wrong : std::uint8_t {
  nothing,
  temporaries_are_not_synced,   ///< rename without syncing the file
  directories_are_not_synced,   ///< rename without syncing the directory
  old_segments_are_not_synced,  ///< across a roll only the new segment is
  trailers_before_data,         ///< the sync before the trailer is written is missing
  zeros_are_not_written,        ///< recovery leaves a torn tail in place
  failed_syncs_are_repeated,    ///< until one succeeds, which says nothing of the pages that failed
  full_disks_are_ignored,       ///< a segment goes on being prepared though its space was refused
};

class VolatileFileSystem : public PassingFileSystem {
 public:
  /// What lies in `directory` is on the disk. Files elsewhere are handed on and never lost.
  VolatileFileSystem(std::string directory, std::uint64_t seed, Wrong wrong = Wrong::nothing,
                     FileSystem& to = posix_file_system())
      : PassingFileSystem(to), directory_(std::move(directory)), random_(seed), wrong_(wrong) {
    std::filesystem::create_directories(directory_);
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      const auto inode = find_or_add(entry.path());
      inode->flush();
      now_[entry.path().filename()] = inode;
    }
    disk_ = now_;
  }

  /// Called behind every operation that may change something, with the file system standing still: no other operation
  /// begins before it returns. It may call crash_image().
  void at_every_operation(std::function<void(const std::string& operation)> visitor) {
    const std::lock_guard lock(mutex_);
    visitor_ = std::move(visitor);
  }
  /// Called before a file of `directory` is unlinked.
  void before_unlink(std::function<void(const std::string& path)> visitor) {
    unlink_visitor_ = std::move(visitor);
  }
  /// Only from the visitor, or while nobody else calls anything.
  void crash_image(const std::string& into, std::mt19937_64& random) const;
  /// The machine stops here: the same as an operation, as far as the visitor is concerned.
  void stand_still(const std::string& what) { changed(std::unique_lock(mutex_), what); }

  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    std::unique_lock lock(mutex_);
    auto fd = PassingFileSystem::open(path, flags, mode);
    if (!fd || !is_mine(path)) return fd;
    const std::string name = name_of(path);
    if (now_.contains(name)) return fd;
    const auto inode = find_or_add(path);
    add_change({.removed = {}, .added = name, .inode = inode});
    changed(std::move(lock), "create " + name);
    return fd;
  }
  Result<> allocate(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    return file_operation("allocate", fd, [&]() -> Result<> {
      auto done = PassingFileSystem::allocate(fd, offset, bytes);
      if (done || wrong_ != Wrong::full_disks_are_ignored) return done;
      ignored_ = true;
      return {};
    });
  }
  Result<> punch(int fd, std::uint64_t offset, std::uint64_t bytes) override {
    return file_operation("punch", fd, [&] { return PassingFileSystem::punch(fd, offset, bytes); });
  }
  Result<> set_mode(int fd, mode_t mode) override {
    return file_operation("set_mode", fd, [&] { return PassingFileSystem::set_mode(fd, mode); });
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    return file_operation("write", fd, [&]() -> Result<> {
      if (const auto inode = find(fd)) {
        if (wrong_ == Wrong::trailers_before_data && inode->is_trailer(offset)) inode->forget_last_flush();
        if (wrong_ == Wrong::zeros_are_not_written && all_zero(bytes)) return {};
      }
      return PassingFileSystem::write_at(fd, bytes, offset);
    });
  }
  Result<> sync_data(int fd) override {
    return file_operation("sync", fd, [&]() -> Result<> {
      auto done = PassingFileSystem::sync_data(fd);
      const auto inode = find(fd);
      if (!inode) return done;
      if (!done) inode->lose_changes();
      if (!done && wrong_ == Wrong::failed_syncs_are_repeated) done = PassingFileSystem::sync_data(fd);
      if (done && !ignores_sync_of(*inode)) inode->flush(wrong_ == Wrong::trailers_before_data);
      return done;
    });
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    std::unique_lock lock(mutex_);
    if (auto done = PassingFileSystem::rename(from, to); !done || !is_mine(from)) return done;
    const auto inode = now_.at(name_of(from));
    inode->name = name_of(to);
    add_change({.removed = name_of(from), .added = name_of(to), .inode = inode});
    changed(std::move(lock), "rename " + name_of(from));
    // Looked at by now. A store into a mapping without space would end the test.
    if (std::exchange(ignored_, false)) return errno_error("ignored a full disk");
    return {};
  }
  Result<> unlink(const std::string& path) override {
    std::unique_lock lock(mutex_);
    if (is_mine(path) && unlink_visitor_) unlink_visitor_(path);
    if (auto done = PassingFileSystem::unlink(path); !done || !is_mine(path)) return done;
    add_change({.removed = name_of(path), .added = {}, .inode = nullptr});
    changed(std::move(lock), "unlink " + name_of(path));
    return {};
  }
  Result<> sync_directory(const std::string& path) override {
    std::unique_lock lock(mutex_);
    if (path == directory_ && wrong_ != Wrong::directories_are_not_synced) {
      disk_ = now_;
      changes_.clear();
    }
    changed(std::move(lock), "sync directory");
    return {};
  }

 private:
  struct Inode {
    explicit Inode(const std::string& path)
        : name(name_of(path)), fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
      FASTLOGD_CHECK(fd);
    }
    /// What the page cache holds now.
    std::span<const std::byte> cached() {
      struct stat info{};
      FASTLOGD_CHECK(::fstat(fd.get(), &info) == 0);
      const auto size = static_cast<std::size_t>(info.st_size);
      if (size != cache.size() && size != 0) {
        cache = Mapping(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0), size);
      }
      return cache.bytes().first(size);
    }
    /// Calls `take(offset, bytes)` for every page that the disk has not, or has otherwise.
    template <class Take>
    void changed_pages(Take&& take) {
      const auto bytes = cached();
      for (std::size_t at = 0; at < bytes.size(); at += limits::kPageBytes) {
        const auto page = bytes.subspan(at, std::min<std::size_t>(limits::kPageBytes, bytes.size() - at));
        const bool same = at + page.size() <= disk.size()
                              ? std::memcmp(disk.data() + at, page.data(), page.size()) == 0
                              : all_zero(page) && at >= disk.size();
        if (!same && !is_lost(at, page)) take(at, page);
      }
    }
    void flush(bool remember = false) {
      if (remember) before_flush = disk;
      changed_pages([this](std::size_t at, std::span<const std::byte> page) { put(at, page); });
      disk.resize(cached().size());
    }
    /// A sync has failed: the kernel takes the pages for clean. Readers see them, the disk gets them only if they are
    /// changed once more.
    void lose_changes() {
      changed_pages([this](std::size_t at, std::span<const std::byte> page) {
        lost[at].assign(page.begin(), page.end());
      });
    }
    [[nodiscard]] bool is_lost(std::size_t at, std::span<const std::byte> page) const {
      const auto found = lost.find(at);
      return found != lost.end() &&
             std::equal(page.begin(), page.end(), found->second.begin(), found->second.end());
    }
    void put(std::size_t at, std::span<const std::byte> page) {
      if (disk.size() < at + page.size()) disk.resize(at + page.size());
      std::copy(page.begin(), page.end(), disk.begin() + static_cast<std::ptrdiff_t>(at));
    }
    /// `keep` in 100 of the changed pages, or of their sectors, have reached the disk.
    [[nodiscard]] std::vector<std::byte> after_power_loss(unsigned keep, std::mt19937_64& random) {
      std::vector<std::byte> content = disk;
      if (random() % 2 == 0) content.resize(cached().size());
      changed_pages([&](std::size_t at, std::span<const std::byte> page) {
        const bool torn = random() % 4 == 0;
        const bool whole = random() % 100 < keep;
        for (std::size_t sector = 0; sector < page.size(); sector += kSectorBytes) {
          const auto bytes = page.subspan(sector, std::min(kSectorBytes, page.size() - sector));
          if (at + sector + bytes.size() > content.size()) return;
          if (!(torn ? random() % 100 < keep : whole)) continue;
          std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(at + sector));
        }
      });
      return content;
    }
    void forget_last_flush() {
      if (before_flush) disk = *before_flush;
    }
    [[nodiscard]] bool is_trailer(std::uint64_t offset) {
      return offset != 0 && name.ends_with(".flog") && offset + limits::kPageBytes == cached().size();
    }

    std::string name;
    UniqueFd fd;
    Mapping cache;
    std::vector<std::byte> disk;
    std::optional<std::vector<std::byte>> before_flush;
    std::map<std::size_t, std::vector<std::byte>> lost;  ///< page -> what a failed sync dropped of it
  };
  using InodePointer = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePointer>;
  struct Change {
    std::optional<std::string> removed;
    std::optional<std::string> added;
    InodePointer inode;
  };

  static std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  static bool all_zero(std::span<const std::byte> bytes) {
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
  }
  [[nodiscard]] bool is_mine(const std::string& path) const {
    return path.size() > directory_.size() && path.starts_with(directory_) && path[directory_.size()] == '/';
  }
  static void write_sparse(const std::string& path, std::span<const std::byte> content, mode_t mode) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    FASTLOGD_CHECK(fd && ::ftruncate(fd.get(), static_cast<off_t>(content.size())) == 0);
    for (std::size_t at = 0; at < content.size(); at += limits::kPageBytes) {
      const auto page = content.subspan(at, std::min<std::size_t>(limits::kPageBytes, content.size() - at));
      if (all_zero(page)) continue;
      FASTLOGD_CHECK(::pwrite(fd.get(), page.data(), page.size(), static_cast<off_t>(at)) ==
                     static_cast<ssize_t>(page.size()));
    }
    FASTLOGD_CHECK(::fchmod(fd.get(), mode) == 0);
  }
  InodePointer find_or_add(const std::string& path) {
    auto inode = std::make_shared<Inode>(path);
    struct stat info{};
    FASTLOGD_CHECK(::fstat(inode->fd.get(), &info) == 0);
    // A number is given out again only when the file is gone, and the entry holds its file open.
    return by_number_.emplace(info.st_ino, std::move(inode)).first->second;
  }
  InodePointer find(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return nullptr;
    const auto found = by_number_.find(info.st_ino);
    return found == by_number_.end() ? nullptr : found->second;
  }
  static void apply(const Change& change, Names& names) {
    if (change.removed) names.erase(*change.removed);
    if (change.added) names[*change.added] = change.inode;
  }
  void add_change(Change change) {
    apply(change, now_);
    changes_.push_back(std::move(change));
  }
  template <class Operation>
  Result<> file_operation(const char* what, int fd, Operation&& operation) {
    std::unique_lock lock(mutex_);
    auto done = operation();
    const auto inode = find(fd);
    if (done && inode) changed(std::move(lock), std::string(what) + " " + inode->name);
    return done;
  }
  [[nodiscard]] bool ignores_sync_of(const Inode& inode) const {
    if (wrong_ == Wrong::temporaries_are_not_synced) return inode.name.ends_with(".tmp");
    if (wrong_ != Wrong::old_segments_are_not_synced || !inode.name.ends_with(".flog")) return false;
    return std::any_of(now_.begin(), now_.end(), [&](const auto& other) {
      if (!other.first.ends_with(".flog") || other.first <= inode.name) return false;
      const auto bytes = other.second->cached();  // in use once it has an OPEN
      return bytes.size() > limits::kPageBytes && bytes[limits::kPageBytes] != std::byte{0};
    });
  }
  void changed([[maybe_unused]] std::unique_lock<std::mutex> held, const std::string& operation) {
    if (visitor_) visitor_(operation);
    if (random_() % 4 == 0) write_back();
  }
  /// The kernel writes pages when it likes.
  void write_back() {
    for (const auto& [name, inode] : now_) {
      if (random_() % 2 == 0) continue;
      inode->changed_pages([&, in = inode.get()](std::size_t at, std::span<const std::byte> page) {
        if (random_() % 3 == 0) in->put(at, page);
      });
    }
  }

  const std::string directory_;
  std::mutex mutex_;
  std::mt19937_64 random_;
  const Wrong wrong_;
  bool ignored_ = false;
  std::map<ino_t, InodePointer> by_number_;
  Names now_;
  Names disk_;
  std::vector<Change> changes_;
  std::function<void(const std::string&)> visitor_;
  std::function<void(const std::string&)> unlink_visitor_;
};

inline void VolatileFileSystem::crash_image(const std::string& into, std::mt19937_64& random) const {
  std::filesystem::create_directories(into);
  Names names = disk_;
  // A journal keeps the order of such changes; POSIX promises none.
  const bool ordered = random() % 2 == 0;
  const std::size_t prefix = random() % (changes_.size() + 1);
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    if (ordered ? i < prefix : random() % 2 == 0) apply(changes_[i], names);
  }
  const unsigned keep = static_cast<unsigned>(random() % 101);
  for (const auto& [name, inode] : names) {
    write_sparse(into + "/" + name, inode->after_power_loss(keep, random), random() % 2 == 0 ? 0440 : 0640);
  }
}

}  // namespace fastlogd::test
