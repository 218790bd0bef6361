// Waits until so many records can be read where a log daemon puts them, and says when that was.
//
//   log      a fastlogd stream's directory: the newest readable record bears that sequence number, or a higher one
//   lines    a directory of text files, rotated ones included: so many lines
//   journal  a directory of journald's files: so many entries, by the files' headers
//   counter  discard_tool's file: so many bytes or messages
//
// It looks every 200 µs at something cheap (a watermark, sizes) and counts only when that has stood still from one look
// to the next; the time it prints is that of the last change. So it costs the measured daemon next to nothing.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "bench/counter_file.hpp"
#include "bench/measure.hpp"
#include "segment/log_reader.hpp"

namespace fastlogd::bench {
namespace {

/// Something that grows and can be counted.
class Growing {
 public:
  virtual ~Growing() = default;
  /// Cheap; differs from the last one if anything has been added.
  virtual std::uint64_t mark() = 0;
  /// How much is there.
  virtual std::uint64_t count() = 0;
};

class Log : public Growing {
 public:
  explicit Log(const std::string& directory)
      : reader_(segment::LogReader::open(directory, segment::Access::mapped).value()) {}
  std::uint64_t mark() override { return reader_.committed().value; }
  std::uint64_t count() override {
    reader_.seek_end();
    segment::LogItem item;
    while (reader_.previous(item) == segment::ReadStatus::item) {
      if (item.kind == segment::LogItem::Kind::record) return item.record.sequence.value;
    }
    return 0;
  }

 private:
  segment::LogReader reader_;
};

class Lines : public Growing {
 public:
  Lines(std::string directory, std::string prefix)
      : directory_(std::move(directory)), prefix_(std::move(prefix)) {}
  std::uint64_t mark() override {
    std::uint64_t bytes = 0;
    for_each_file([&](const std::string&, const struct stat& status) {
      bytes += static_cast<std::uint64_t>(status.st_size);
    });
    return bytes;
  }
  std::uint64_t count() override {
    for_each_file([&](const std::string& path, const struct stat& status) { count_new(path, status); });
    std::uint64_t lines = 0;
    for (const auto& [inode, seen] : seen_) lines += seen.lines;
    return lines;
  }

 private:
  struct Seen {
    off_t bytes = 0;
    std::uint64_t lines = 0;
  };
  template <class Visit>
  void for_each_file(Visit visit) const {
    std::error_code ignored;  // a file may be renamed at any moment
    for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
      struct stat status{};
      if (!entry.path().filename().string().starts_with(prefix_)) continue;
      if (::stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      visit(entry.path().string(), status);
    }
  }
  void count_new(const std::string& path, const struct stat& status) {
    Seen& seen = seen_[status.st_ino];
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return;
    for (;;) {
      const ssize_t n = ::pread(fd.get(), buffer_.data(), buffer_.size(), seen.bytes);
      if (n <= 0) return;
      seen.lines += static_cast<std::uint64_t>(std::count(buffer_.begin(), buffer_.begin() + n, '\n'));
      seen.bytes += n;
    }
  }

  std::string directory_;
  std::string prefix_;
  std::map<ino_t, Seen> seen_;
  std::vector<char> buffer_ = std::vector<char>(1 << 20);
};

/// systemd's "Journal File Format": n_entries is a little-endian 64-bit number at byte 152 of the header.
class Journal : public Growing {
 public:
  explicit Journal(std::string directory) : directory_(std::move(directory)) {}
  std::uint64_t mark() override { return count(); }
  std::uint64_t count() override {
    std::uint64_t entries = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_, ignored)) {
      const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      std::array<char, 160> header{};
      if (!fd || ::pread(fd.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()))
        continue;
      if (std::memcmp(header.data(), "LPKSHHRH", 8) != 0) continue;
      std::uint64_t in_file = 0;
      std::memcpy(&in_file, header.data() + 152, sizeof in_file);
      entries += in_file;
    }
    return entries;
  }

 private:
  std::string directory_;
};

class Counted : public Growing {
 public:
  Counted(const std::string& path, bool messages) : file_(path), messages_(messages) {}
  std::uint64_t mark() override { return messages_ ? file_->messages.load() : file_->bytes.load(); }
  std::uint64_t count() override { return mark(); }

 private:
  CounterFile file_;
  bool messages_;
};

struct Options {
  std::string log;
  std::string lines;
  std::string prefix;
  std::string journal;
  std::string counter;
  bool messages = false;
  std::uint64_t target = 0;
  double timeout_seconds = 120;
};

std::unique_ptr<Growing> make(const Options& options) {
  if (!options.log.empty()) return std::make_unique<Log>(options.log);
  if (!options.lines.empty()) return std::make_unique<Lines>(options.lines, options.prefix);
  if (!options.journal.empty()) return std::make_unique<Journal>(options.journal);
  if (!options.counter.empty()) return std::make_unique<Counted>(options.counter, options.messages);
  throw std::runtime_error("one of --log, --lines, --journal, --counter is needed");
}

int await(const Options& options) {
  constexpr std::chrono::microseconds kLook{200};
  // Counting reads everything that is new, and would disturb who only pauses. The result is the time of the last change
  // all the same, if nothing has changed while it was counted.
  constexpr std::int64_t kStillNanos = 200 * kNanosPerMilli;
  const auto growing = make(options);
  fmt::print("watching\n");
  std::fflush(stdout);
  std::uint64_t mark = growing->mark();
  std::int64_t changed_ns = monotonic_ns();
  std::optional<std::uint64_t> counted_at;
  std::uint64_t count = 0;
  while (seconds_since(changed_ns) < options.timeout_seconds) {
    std::this_thread::sleep_for(kLook);
    const std::int64_t looked_ns = monotonic_ns();
    if (const std::uint64_t now = growing->mark(); now != mark) {
      mark = now;
      changed_ns = looked_ns;
    } else if (counted_at != mark && looked_ns - changed_ns > kStillNanos) {
      counted_at = mark;
      count = growing->count();
      if (count < options.target || growing->mark() != mark) continue;
      fmt::print(R"({{"count": {}, "changed_ns": {}}})"
                 "\n",
                 count, changed_ns);
      return 0;
    }
  }
  throw std::runtime_error(
      fmt::format("{} of {} and nothing new for {} s", count, options.target, options.timeout_seconds));
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  CLI::App app{"Waits until so many records are readable, and says since when"};
  fastlogd::bench::Options options;
  app.add_option("--log", options.log, "a fastlogd stream's directory");
  app.add_option("--lines", options.lines, "a directory of text files");
  app.add_option("--prefix", options.prefix, "with --lines: only files whose name starts so");
  app.add_option("--journal", options.journal, "a directory of journal files");
  app.add_option("--counter", options.counter, "discard_tool's file");
  app.add_flag("--messages", options.messages, "with --counter: messages instead of bytes");
  app.add_option("--target", options.target, "how much there must be")->required();
  app.add_option("--timeout", options.timeout_seconds, "seconds without a change until it gives up");
  CLI11_PARSE(app, argc, argv);
  try {
    return fastlogd::bench::await(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "await_tool: {}\n", error.what());
    return 1;
  }
}
