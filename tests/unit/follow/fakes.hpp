// A log made of strings and a file system that dies on command.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "follow/line_source.hpp"

namespace fastlogd::follow::test {

/// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "fl-follow-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What a reader of all the files sees, oldest first.
inline std::string contents_with_rotated(const std::string& path) {
  std::string all = contents(path);
  for (unsigned number = 1; std::filesystem::exists(path + "." + std::to_string(number)); ++number) {
    all.insert(0, contents(path + "." + std::to_string(number)));
  }
  return all;
}

/// Lines of different lengths, numbered from 1.
inline std::vector<std::string> numbered_lines(unsigned count) {
  std::vector<std::string> lines;
  for (unsigned n = 1; n <= count; ++n) {
    lines.push_back("line " + std::to_string(n) + std::string(n * 7 % 40, '.') + "\n");
  }
  return lines;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line;
  return all;
}

/// Position n means: lines before the n-th have been read.
class FakeSource final : public LineSource {
 public:
  explicit FakeSource(const std::vector<std::string>& lines) : lines_(&lines), published_(lines.size()) {}

  void publish(std::size_t lines) { published_ = std::min(lines, lines_->size()); }
  void fail_reading(bool fail) { failing_ = fail; }
  void fail_seeking(bool fail) { seek_fails_ = fail; }
  /// Of what an earlier run has read only so many lines are left.
  void keep(std::size_t lines) { end_kept_ = lines; }

  Fill fill(TextBuffer& into, std::size_t bytes_target) override {
    Fill fill;
    while (into.size() < bytes_target) {
      if (failing_ || at_ >= published_) {
        fill.status = failing_ ? FillStatus::failed : FillStatus::caught_up;
        return fill;
      }
      into += (*lines_)[at_++];
      ++fill.lines;
    }
    fill.status = FillStatus::more;
    return fill;
  }
  Result<> seek(LogPosition position, Sequence /*last*/) override {
    if (seek_fails_) return error_;
    at_ = std::min<std::size_t>(position.value, end_kept_);
    return {};
  }
  void seek_oldest() override { at_ = 0; }
  [[nodiscard]] LogPosition position() const override { return LogPosition{at_}; }
  [[nodiscard]] Sequence last_sequence() const override { return Sequence{at_}; }
  [[nodiscard]] std::uint64_t lag_bytes() const override { return published_ - at_; }
  void wait(std::chrono::nanoseconds /*timeout*/) override {}
  [[nodiscard]] const Error& error() const override { return error_; }

 private:
  const std::vector<std::string>* lines_;
  std::size_t published_;
  std::size_t at_ = 0;
  std::size_t end_kept_ = SIZE_MAX;
  bool failing_ = false;
  bool seek_fails_ = false;
  Error error_ = invalid("the log can't be read");
};

/// Passes everything on until the operation with the given number, which is the last to have an effect; an
/// append is torn by it. Then the process counts as killed: nothing changes the disk any more.
class DyingFileSystem final : public FileSystem {
 public:
  explicit DyingFileSystem(unsigned last_operation) : left_(last_operation) {}
  [[nodiscard]] bool dead() const { return left_ == 0; }

  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    if ((flags & O_CREAT) != 0 && !survive()) return death();
    return real_.open(path, flags, mode);
  }
  Result<std::size_t> append(int fd, std::span<const std::byte> bytes) override {
    if (!survive()) return death();
    return real_.append(fd, dead() ? bytes.first(bytes.size() * 2 / 3) : bytes);
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (!survive()) return death();
    return real_.write_at(fd, bytes, offset);
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (!survive()) return death();
    return real_.rename(from, to);
  }
  Result<> unlink(const std::string& path) override {
    if (!survive()) return death();
    return real_.unlink(path);
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    return real_.read_at(fd, into, offset);
  }
  Result<struct stat> status(const std::string& path) override { return real_.status(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
  Result<std::uint64_t> free_bytes(const std::string& path) override { return real_.free_bytes(path); }
  // Not used by the text file.
  Result<> allocate(int, std::uint64_t, std::uint64_t) override { return death(); }
  Result<> punch(int, std::uint64_t, std::uint64_t) override { return death(); }
  Result<Mapping> map(int, std::uint64_t, std::size_t, int, int) override { return death(); }
  Result<> sync_data(int) override { return death(); }
  Result<> set_mode(int, mode_t) override { return death(); }
  Result<> sync_directory(const std::string&) override { return death(); }
  Result<> make_directories(const std::string&, mode_t) override { return death(); }

 private:
  [[nodiscard]] bool survive() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  [[nodiscard]] static Error death() { return invalid("the process is dead"); }

  FileSystem& real_ = posix_file_system();
  unsigned left_;
};

/// Real, but appends fail (after writing `torn_bytes`) while `full` is set, and renames while `no_rename` is.
class FailingFileSystem final : public FileSystem {
 public:
  bool full = false;
  bool no_rename = false;
  std::size_t torn_bytes = 0;

  Result<std::size_t> append(int fd, std::span<const std::byte> bytes) override {
    if (!full) return real_.append(fd, bytes);
    const std::size_t n = std::min(torn_bytes, bytes.size());
    if (n == 0) return Error{std::make_error_code(std::errc::no_space_on_device), "write"};
    torn_bytes -= n;
    return real_.append(fd, bytes.first(n));
  }
  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    return real_.open(path, flags, mode);
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    return real_.write_at(fd, bytes, offset);
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (no_rename) return Error{std::make_error_code(std::errc::permission_denied), "rename"};
    return real_.rename(from, to);
  }
  Result<> unlink(const std::string& path) override { return real_.unlink(path); }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    return real_.read_at(fd, into, offset);
  }
  Result<struct stat> status(const std::string& path) override { return real_.status(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
  Result<std::uint64_t> free_bytes(const std::string& path) override { return real_.free_bytes(path); }
  Result<> allocate(int fd, std::uint64_t o, std::uint64_t n) override { return real_.allocate(fd, o, n); }
  Result<> punch(int fd, std::uint64_t o, std::uint64_t n) override { return real_.punch(fd, o, n); }
  Result<Mapping> map(int fd, std::uint64_t o, std::size_t n, int p, int f) override {
    return real_.map(fd, o, n, p, f);
  }
  Result<> sync_data(int fd) override { return real_.sync_data(fd); }
  Result<> set_mode(int fd, mode_t mode) override { return real_.set_mode(fd, mode); }
  Result<> sync_directory(const std::string& path) override { return real_.sync_directory(path); }
  Result<> make_directories(const std::string& path, mode_t mode) override {
    return real_.make_directories(path, mode);
  }

 private:
  FileSystem& real_ = posix_file_system();
};

}  // namespace fastlogd::follow::test
