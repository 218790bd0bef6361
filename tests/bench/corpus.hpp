// The lines that the measuring programs send and store, replicated in memory.
#pragma once

#include <cstddef>
#include <fstream>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fastlogd::bench {

inline std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) throw std::runtime_error("no lines in " + path);
  return lines;
}

/// Records of one size, back to back: each line cut, or continued with the next ones, to `record_bytes`. `slack` more
/// bytes follow the last record, for readers that take more than a record at a time.
class FixedRecords {
 public:
  FixedRecords(const std::string& path, std::size_t record_bytes, std::size_t slack)
      : record_bytes_(record_bytes) {
    const auto lines = read_lines(path);
    std::size_t next = 0;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      std::string record = lines[next++ % lines.size()];
      while (record.size() < record_bytes) record += " " + lines[next++ % lines.size()];
      bytes_.append(record, 0, record_bytes);
    }
    count_ = bytes_.size() / record_bytes;
    bytes_.append(slack, 'x');
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::string_view record(std::size_t i) const {
    return std::string_view(bytes_).substr(i * record_bytes_, record_bytes_);
  }
  [[nodiscard]] const char* data() const { return bytes_.data(); }

 private:
  std::size_t record_bytes_;
  std::size_t count_ = 0;
  std::string bytes_;
};

/// Messages laid out so that every batch of `batch` of them lies in one piece: the corpus is repeated until a batch
/// ends where the corpus does, then the whole repeats for ever.
class Messages {
 public:
  /// Each message is `header`, a line, `trailer`.
  Messages(const std::string& path, std::size_t batch, std::string_view header, std::string_view trailer) {
    const auto lines = read_lines(path);
    const std::size_t count = std::lcm(lines.size(), batch);
    for (std::size_t i = 0; i < count; ++i) {
      starts_.push_back(bytes_.size());
      bytes_.append(header).append(lines[i % lines.size()]).append(trailer);
    }
    starts_.push_back(bytes_.size());
  }
  /// Messages until the whole repeats.
  [[nodiscard]] std::size_t period() const { return starts_.size() - 1; }
  /// Messages [first, first + count), first < period(), not past the period's end.
  [[nodiscard]] std::string_view batch(std::size_t first, std::size_t count) const {
    return std::string_view(bytes_).substr(starts_[first], starts_[first + count] - starts_[first]);
  }
  /// Bytes of the messages number [0, count), repeated as needed.
  [[nodiscard]] std::size_t bytes_of(std::size_t count) const {
    return count / period() * bytes_.size() + starts_[count % period()];
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> starts_;
};

}  // namespace fastlogd::bench
