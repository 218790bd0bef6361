#pragma once

#include <algorithm>

#include <gtest/gtest.h>

#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {

inline RecoveryReport recover_log(const test::LogBuilder& log, FileSystem& files = posix_file_system()) {
  auto report = recover(files, log.directory(), log.log_uuid);
  EXPECT_TRUE(report.has_value()) << report.error().message();
  return report ? std::move(*report) : RecoveryReport{};
}

inline std::vector<std::string> names(const std::string& directory) {
  auto list = posix_file_system().list(directory).value();
  std::erase(list, "LOCK");
  return list;
}

inline std::vector<std::string> read(const std::string& directory) {
  auto reader = LogReader::open(directory, Access::pread);
  return reader ? test::read_to_end(*reader) : std::vector<std::string>{};
}

inline void expect_sound(const std::string& directory) {
  const auto report = verify_directory(directory, {});
  ASSERT_TRUE(report.has_value());
  for (const auto& finding : report->findings) {
    EXPECT_EQ(finding.kind, Finding::Kind::note)
        << finding.file << ":" << finding.offset << " " << finding.text;
  }
}

inline bool says(const RecoveryReport& report, const std::string& text, bool damage) {
  return std::any_of(report.notes.begin(), report.notes.end(), [&](const RecoveryNote& note) {
    return note.damage == damage && note.text.find(text) != std::string::npos;
  });
}

/// Everything a next start depends on.
inline void expect_same(const RecoveryReport& a, const RecoveryReport& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.next_index, b.next_index);
  EXPECT_EQ(a.next_sequence, b.next_sequence);
  EXPECT_EQ(a.log_uuid, b.log_uuid);
  EXPECT_EQ(a.previous_uuid, b.previous_uuid);
  EXPECT_EQ(a.previous_end_offset, b.previous_end_offset);
  EXPECT_EQ(a.oldest, b.oldest);
  EXPECT_EQ(a.segments.size(), b.segments.size());
}

/// A new run as the store would begin it: the gaps right behind the OPEN.
inline void restart(test::LogBuilder& log, const RecoveryReport& report, int new_records) {
  log.epoch = report.epoch;
  log.next_index = report.next_index;
  log.next_sequence = report.next_sequence;
  log.begin();
  for (const Gap& gap : report.gaps) ASSERT_TRUE(log.writer.append_gap(gap));
  log.add_records(new_records);
  log.seal();
}

}  // namespace fastlogd::segment
