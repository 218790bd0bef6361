#pragma once

#include <gtest/gtest.h>

#include "segment/log_reader.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {

/// Each test runs once through mappings and once through pread.
class LogReaderBy : public ::testing::TestWithParam<Access> {
 protected:
  LogReader open(const std::string& directory) {
    auto reader = LogReader::open(directory, GetParam());
    EXPECT_TRUE(reader.has_value()) << reader.error().message();
    return std::move(*reader);
  }
  test::TempDirectory directory_;
};

inline std::string access_name(const ::testing::TestParamInfo<Access>& access) {
  return access.param == Access::mapped ? "Map" : "Pread";
}

inline std::vector<std::string> joined(std::vector<std::string> first,
                                       const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace fastlogd::segment
