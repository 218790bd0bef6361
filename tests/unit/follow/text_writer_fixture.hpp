#pragma once

#include <gtest/gtest.h>

#include "follow/text_writer.hpp"
#include "unit/follow/fakes.hpp"

namespace fastlogd::follow::test {

inline std::int64_t fake_now = 0;
inline std::int64_t fake_clock() {
  return fake_now;
}

class TextWriterTest : public testing::Test {
 protected:
  TextWriterTest() {
    fake_now = kNanosPerSecond;
    options_.path = directory_ / "main.log";
    diag::set_level(diag::Level::error);
  }

  TextWriter writer(FakeSource& source, FileSystem& files = posix_file_system()) {
    return TextWriter("main", directory_ / "text.cursor", source, counters_, files, &fake_clock);
  }
  /// Steps until nothing is left; false if it never gets there.
  bool drain(TextWriter& writer) {
    for (int n = 0; n < 10'000; ++n) {
      fake_now += kNanosPerSecond;
      if (writer.step(options_) == TextWriter::Step::idle) return true;
    }
    return false;
  }
  bool drain_with_new_writer(const std::vector<std::string>& lines) {
    FakeSource source(lines);
    TextWriter again = writer(source);
    return drain(again);
  }

  TemporaryDirectory directory_;
  TextFileOptions options_;
  TextFileCounters counters_;
};

}  // namespace fastlogd::follow::test
