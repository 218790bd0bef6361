#pragma once

#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include <gtest/gtest.h>

#include "ctl/read_log.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::ctl {

class ReadLogTest : public testing::Test {
 protected:
  ReadLogTest() : log_(directory_.path() + "/main") {
    arguments_.target.directory = directory_.path() + "/main";
  }

  /// Five records in each of `segments` sealed segments.
  void fill(int segments) {
    for (int n = 0; n < segments; ++n) {
      log_.begin();
      log_.add_records(5);
      log_.seal();
    }
  }

  /// What the command prints, line by line.
  std::vector<std::string> read(ExitCode expected = ExitCode::done) {
    char name[] = "/tmp/fl-ctl-XXXXXX";
    const UniqueFd file(::mkstemp(name));
    ::unlink(name);
    {
      Output output(file.get());
      EXPECT_EQ(read_log(understand(arguments_, test::kFirstTime), output, Terminal{}), expected);
    }
    std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  test::TempDirectory directory_;
  test::LogBuilder log_;
  ReadArguments arguments_{.output = "cat"};
};

}  // namespace fastlogd::ctl
