#include "follow/log_line_source.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/diagnostics.hpp"
#include "support/log_builder.hpp"
#include "support/passing_file_system.hpp"
#include "unit/follow/fakes.hpp"

namespace fastlogd::follow::test {
namespace {

using fastlogd::test::flip_bit;
using fastlogd::test::LogBuilder;

std::unique_ptr<LogLineSource> source_of(const LogBuilder& log) {
  auto source = LogLineSource::open(log.directory(), limits::kMiB);
  EXPECT_TRUE(source.has_value());
  return source ? std::move(*source) : nullptr;
}

/// What a restart depends on: the text file is compared with what is rendered anew.
TEST(LogLineSource, RendersTheSameFromEveryPlace) {
  diag::set_level(diag::Level::error);
  const TemporaryDirectory directory;
  LogBuilder log(directory / "main", 2 * limits::kMiB);
  log.begin();
  log.fill(50'000);
  log.seal();
  for (int n = 0; n < 2; ++n) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  log.begin();
  log.add_records(5);
  const std::uint64_t sixth = log.writer.offset();
  log.add_records(5);
  log.seal();
  log.begin();
  log.add_records(5);
  flip_bit(log.path(1), 200'000, 0);
  std::filesystem::remove(log.path(2));
  flip_bit(log.path(4), sixth + 34, 0);

  const auto source = source_of(log);
  ASSERT_TRUE(source);
  int gaps = 0;
  for (;;) {
    const LogPosition place = source->position();
    const Sequence last = source->last_sequence();
    TextBuffer line;
    if (source->fill(line, 1).lines == 0) break;
    const auto restarted = source_of(log);
    ASSERT_TRUE(restarted);
    ASSERT_TRUE(restarted->seek(place, last));
    TextBuffer again;
    EXPECT_EQ(restarted->fill(again, 1).lines, 1U);
    ASSERT_EQ(again, line);
    gaps += line.starts_with("-- gap") ? 1 : 0;
  }
  EXPECT_EQ(gaps, 3);
  EXPECT_EQ(source->last_sequence().value, log.next_sequence - 1);
}

class FewDescriptors final : public fastlogd::test::PassingFileSystem {
 public:
  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    if (none_left) return Error{std::make_error_code(std::errc::too_many_files_open), path};
    return PassingFileSystem::open(path, flags, mode);
  }
  bool none_left = false;
};

TEST(LogLineSource, DoesNotTakeAPassingErrorForALostPlace) {
  diag::set_level(diag::Level::error);
  const TemporaryDirectory directory;
  LogBuilder log(directory / "main");
  log.begin();
  log.add_records(5);
  log.seal();
  FewDescriptors files;
  auto source = LogLineSource::open(log.directory(), limits::kMiB, files);
  ASSERT_TRUE(source.has_value());
  TextBuffer line;
  for (int n = 0; n < 3; ++n) EXPECT_EQ((*source)->fill(line, line.size() + 1).lines, 1U);
  const LogPosition place = (*source)->position();
  files.none_left = true;
  EXPECT_FALSE((*source)->seek(place, Sequence{3}).has_value());
  files.none_left = false;
  ASSERT_TRUE((*source)->seek(place, Sequence{3}).has_value());
  TextBuffer rest;
  EXPECT_EQ((*source)->fill(rest, limits::kMiB).lines, 2U);
  EXPECT_NE(rest.find("record 4"), std::string::npos);
}

}  // namespace
}  // namespace fastlogd::follow::test
