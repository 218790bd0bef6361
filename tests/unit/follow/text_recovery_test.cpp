// How a writer finds its place after a start.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "support/passing_file_system.hpp"
#include "unit/follow/text_writer_fixture.hpp"

namespace fastlogd::follow::test {
namespace {

TEST_F(TextWriterTest, GoesOnAfterARestartWithoutRepeatingOrSkipping) {
  const auto lines = numbered_lines(300);
  for (const std::size_t published : {0U, 1U, 100U, 100U, 300U}) {
    FakeSource source(lines);
    source.publish(published);
    TextWriter next = writer(source);
    ASSERT_TRUE(drain(next));
  }
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, CompletesALineThatACrashTore) {
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(4);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  // What the next batch would have begun with, cut in the middle of a line.
  std::ofstream(options_.path, std::ios::app) << lines[4] << lines[5] << lines[6].substr(0, 4);
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, KeepsALineThatSomebodyElseAppendedAndLosesNone) {
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(4);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  std::ofstream(options_.path, std::ios::app) << "a note without an end";
  ASSERT_TRUE(drain_with_new_writer(lines));
  std::vector<std::string> expected = lines;
  expected.insert(expected.begin() + 4, "a note without an end\n");
  EXPECT_EQ(contents(options_.path), joined(expected));
}

TEST_F(TextWriterTest, EndsALineThatAPowerLossTore) {
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(6);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  const std::string torn = lines[0] + lines[1].substr(0, 3);
  const std::string whole = lines[6] + lines[7] + lines[8] + lines[9];
  std::filesystem::resize_file(options_.path, torn.size());
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(options_.path), torn + "\n" + whole);
  // The cursor is lost with it.
  std::filesystem::resize_file(options_.path, torn.size());
  std::filesystem::remove(directory_ / "text.cursor");
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(options_.path), torn + "\n" + joined(lines));
}

TEST_F(TextWriterTest, SkipsNothingOfLinesThatCameInPlaceOfLostOnes) {
  const auto lines = numbered_lines(8);
  {
    FailingFileSystem files;
    FakeSource source(lines);
    source.publish(4);
    TextWriter before = writer(source, files);
    ASSERT_TRUE(drain(before));
    source.publish(8);
    files.full = true;
    files.torn_bytes = lines[4].size() + lines[5].size();
    EXPECT_EQ(before.step(options_), TextWriter::Step::stuck);
    std::filesystem::resize_file(options_.path, 0);
    EXPECT_EQ(before.step(options_), TextWriter::Step::stuck)
        << "the cursor says now what of the batch is written";
  }
  const std::vector<std::string> others = {lines[0], lines[1], "other 3\n", "other 4\n", "other 5\n"};
  FakeSource source(others);
  source.keep(2);
  TextWriter next = writer(source);
  ASSERT_TRUE(drain(next));
  EXPECT_EQ(contents(options_.path), others[2] + others[3] + others[4]);
}

TEST_F(TextWriterTest, FinishesTheTornLineInTheOldFileWhenThePathChangedBetweenRuns) {
  const auto lines = numbered_lines(8);
  const std::string old_path = options_.path;
  {
    FakeSource source(lines);
    source.publish(3);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  std::ofstream(old_path, std::ios::app) << lines[3] << lines[4].substr(0, 3);
  options_.path = directory_ / "other.log";
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(old_path) + contents(options_.path), joined(lines));
  EXPECT_EQ(contents(options_.path), lines[5] + lines[6] + lines[7]);
}

TEST_F(TextWriterTest, TriesAgainWhereTheLogCannotBeAskedAtTheStart) {
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(4);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  // Written, and not in the cursor yet.
  std::ofstream(options_.path, std::ios::app) << lines[4] << lines[5].substr(0, 4);
  const std::string before = contents(options_.path);
  FakeSource source(lines);
  TextWriter next = writer(source);
  source.fail_seeking(true);
  EXPECT_EQ(next.step(options_), TextWriter::Step::stuck);
  source.fail_seeking(false);
  source.fail_reading(true);
  EXPECT_EQ(next.step(options_), TextWriter::Step::stuck);
  EXPECT_EQ(contents(options_.path), before);
  source.fail_reading(false);
  ASSERT_TRUE(drain(next));
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, TriesAgainWhereTheFileCannotBeOpenedAtTheStart) {
  class FewDescriptors : public fastlogd::test::PassingFileSystem {
    Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
      if (none_left && path.ends_with("main.log"))
        return Error{std::make_error_code(std::errc::too_many_files_open), path};
      return PassingFileSystem::open(path, flags, mode);
    }

   public:
    bool none_left = true;
  } files;
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(4);
    TextWriter before = writer(source);
    ASSERT_TRUE(drain(before));
  }
  std::ofstream(options_.path, std::ios::app) << lines[4];
  FakeSource source(lines);
  TextWriter next = writer(source, files);
  EXPECT_EQ(next.step(options_), TextWriter::Step::stuck);
  files.none_left = false;
  ASSERT_TRUE(drain(next));
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, TriesAgainWhereAnyReadFailsOnceAtTheStart) {
  class OneFails : public fastlogd::test::PassingFileSystem {
    Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
      if (calls_left-- == 0) return Error{std::make_error_code(std::errc::io_error), "read"};
      return PassingFileSystem::read_at(fd, into, offset);
    }
    Result<struct stat> status(const std::string& path) override {
      if (calls_left-- == 0) return Error{std::make_error_code(std::errc::io_error), path};
      return PassingFileSystem::status(path);
    }

   public:
    int calls_left = 0;
  };
  const auto lines = numbered_lines(10);
  int failing = 0;
  for (bool any = true; any; ++failing) {
    std::filesystem::remove(options_.path);
    std::filesystem::remove(directory_ / "text.cursor");
    {
      FakeSource source(lines);
      source.publish(4);
      TextWriter before = writer(source);
      ASSERT_TRUE(drain(before));
    }
    std::ofstream(options_.path, std::ios::app) << lines[4] << lines[5].substr(0, 4);
    OneFails files;
    files.calls_left = failing;
    FakeSource source(lines);
    TextWriter next = writer(source, files);
    ASSERT_TRUE(drain(next)) << failing;
    ASSERT_EQ(contents(options_.path), joined(lines)) << failing;
    any = files.calls_left < 0;
  }
  EXPECT_GT(failing, 4);
}

}  // namespace
}  // namespace fastlogd::follow::test
