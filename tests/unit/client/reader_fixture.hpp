#pragma once

#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastlog/fastlog_reader.h"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::client {

struct Close {
  void operator()(fastlog_reader* reader) const { fastlog_reader_close(reader); }
};
using ReaderPtr = std::unique_ptr<fastlog_reader, Close>;

inline fastlog_reader_options from(std::uint32_t place, std::uint32_t flags = 0) {
  fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
  options.from = place;
  options.flags = flags;
  return options;
}

inline ReaderPtr open(const std::string& directory,
                      const fastlog_reader_options& options = from(FASTLOG_FROM_OLDEST)) {
  fastlog_reader* reader = nullptr;
  EXPECT_EQ(fastlog_reader_open(directory.c_str(), &options, &reader), FASTLOG_OK)
      << fastlog_reader_error(nullptr);
  return ReaderPtr(reader);
}

inline std::string message_of(const fastlog_record& record) {
  return {record.message, record.message_bytes};
}

/// As support/log_builder.hpp writes items down.
inline std::string text_of(const fastlog_record& record) {
  if (record.kind == FASTLOG_KIND_RECORD) return message_of(record);
  if (record.gap.first_sequence == 0) return "<gap>";
  return "<" + std::to_string(record.gap.first_sequence) + "-" + std::to_string(record.gap.last_sequence) +
         ">";
}

/// One poll that doesn't wait.
inline std::vector<fastlog_record> poll(fastlog_reader* reader, std::size_t max = 100) {
  std::vector<fastlog_record> records(max);
  const int count = fastlog_reader_poll(reader, records.data(), max, 0);
  EXPECT_GE(count, 0) << fastlog_reader_error(reader);
  records.resize(static_cast<std::size_t>(std::max(count, 0)));
  return records;
}

/// Everything there is, a few at a time.
inline std::vector<std::string> read_all(fastlog_reader* reader, std::size_t max = 7) {
  std::vector<std::string> texts;
  for (auto records = poll(reader, max); !records.empty(); records = poll(reader, max)) {
    for (const fastlog_record& record : records) texts.push_back(text_of(record));
  }
  return texts;
}

/// Whether this process has the file mapped, its name removed or not.
inline bool is_mapped(const std::string& path, const void* at = nullptr) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(path) == std::string::npos) continue;
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    if (at == nullptr || (begin <= address && address < end)) return true;
  }
  return false;
}

class LibraryReader : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_.path(); }
  test::TempDirectory directory_;
};

}  // namespace fastlogd::client
