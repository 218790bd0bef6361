#include "follow/text_writer.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "unit/follow/text_writer_fixture.hpp"

namespace fastlogd::follow::test {
namespace {

TEST_F(TextWriterTest, WritesEveryLineOnce) {
  const auto lines = numbered_lines(20'000);
  FakeSource source(lines);
  TextWriter first = writer(source);
  ASSERT_TRUE(drain(first));
  EXPECT_EQ(contents(options_.path), joined(lines));
  EXPECT_EQ(counters_.lines.value(), lines.size());
  EXPECT_EQ(counters_.bytes.value(), joined(lines).size());
}

TEST_F(TextWriterTest, GoesOnBehindTheEndWhenTheFileWasTruncated) {
  const auto lines = numbered_lines(10);
  {
    FakeSource source(lines);
    source.publish(6);
    TextWriter running = writer(source);
    ASSERT_TRUE(drain(running));
    std::filesystem::resize_file(options_.path, 0);
    source.publish(8);
    ASSERT_TRUE(drain(running));
    EXPECT_EQ(contents(options_.path), lines[6] + lines[7]);
  }
  std::filesystem::resize_file(options_.path, 0);
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(options_.path), lines[8] + lines[9]);
}

TEST_F(TextWriterTest, GoesOnInANewFileWhenTheOldOneIsRenamedOrRemoved) {
  const auto lines = numbered_lines(9);
  FakeSource source(lines);
  source.publish(3);
  TextWriter running = writer(source);
  ASSERT_TRUE(drain(running));
  std::filesystem::rename(options_.path, directory_ / "moved");
  source.publish(6);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(directory_ / "moved"), lines[0] + lines[1] + lines[2]);
  EXPECT_EQ(contents(options_.path), lines[3] + lines[4] + lines[5]);
  std::filesystem::remove(options_.path);
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_EQ(contents(options_.path), lines[6] + lines[7] + lines[8]);
}

TEST_F(TextWriterTest, MovesToANewPathWhileItRuns) {
  const auto lines = numbered_lines(9);
  const std::string old_path = options_.path;
  FakeSource source(lines);
  source.publish(3);
  TextWriter running = writer(source);
  ASSERT_TRUE(drain(running));
  options_.path = directory_ / "other.log";
  source.publish(6);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(old_path), lines[0] + lines[1] + lines[2]);
  EXPECT_EQ(contents(options_.path), lines[3] + lines[4] + lines[5]);
}

TEST_F(TextWriterTest, GoesOnInTheSameFileUnderItsNewName) {
  const auto lines = numbered_lines(6);
  FakeSource source(lines);
  source.publish(3);
  TextWriter running = writer(source);
  ASSERT_TRUE(drain(running));
  const std::string old_path = options_.path;
  options_.path = directory_ / "renamed.log";
  std::filesystem::rename(old_path, options_.path);
  source.publish(6);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path), joined(lines));
  EXPECT_FALSE(std::filesystem::exists(old_path));
}

TEST_F(TextWriterTest, WaitsWhileAnotherOneWritesTheFile) {
  const auto lines = numbered_lines(6);
  const std::vector<std::string> others = {"other 1\n", "other 2\n"};
  FakeSource other_source(others);
  TextWriter other("other", directory_ / "other.cursor", other_source, counters_, posix_file_system(),
                   &fake_clock);
  {
    FakeSource source(lines);
    source.publish(3);
    TextWriter running = writer(source);
    ASSERT_TRUE(drain(running));
    EXPECT_EQ(other.step(options_), TextWriter::Step::stuck);
    source.publish(6);
    ASSERT_TRUE(drain(running));
    EXPECT_EQ(other.step(options_), TextWriter::Step::stuck);
    EXPECT_EQ(contents(options_.path), joined(lines));
  }
  ASSERT_TRUE(drain(other));
  EXPECT_EQ(contents(options_.path), joined(lines) + joined(others));
  // Its cursor knows the file now, which is not gone while the other one has it.
  FakeSource source(lines);
  TextWriter next = writer(source);
  EXPECT_EQ(next.step(options_), TextWriter::Step::stuck);
  EXPECT_EQ(contents(options_.path), joined(lines) + joined(others));
}

TEST_F(TextWriterTest, TwoThatSwapTheirFilesDoNotWaitForEachOther) {
  const auto lines = numbered_lines(6);
  const std::vector<std::string> others = {"other 1\n", "other 2\n"};
  FakeSource source(lines);
  FakeSource other_source(others);
  TextWriter one = writer(source);
  TextWriter other("other", directory_ / "other.cursor", other_source, counters_, posix_file_system(),
                   &fake_clock);
  const std::string first = options_.path;
  const std::string second = directory_ / "other.log";
  source.publish(3);
  other_source.publish(1);
  ASSERT_TRUE(drain(one));
  options_.path = second;
  ASSERT_TRUE(drain(other));

  source.publish(6);
  other_source.publish(2);
  EXPECT_EQ(one.step(options_), TextWriter::Step::stuck);
  options_.path = first;
  ASSERT_TRUE(drain(other));
  options_.path = second;
  ASSERT_TRUE(drain(one));
  EXPECT_EQ(contents(first), lines[0] + lines[1] + lines[2] + others[1]);
  EXPECT_EQ(contents(second), others[0] + lines[3] + lines[4] + lines[5]);
}

TEST_F(TextWriterTest, TakesTheFileItHasLeftInVainAgain) {
  const auto lines = numbered_lines(6);
  FakeSource source(lines);
  const std::vector<std::string> others = {"other 1\n"};
  FakeSource other_source(others);
  TextWriter one = writer(source);
  TextWriter other("other", directory_ / "other.cursor", other_source, counters_, posix_file_system(),
                   &fake_clock);
  const std::string first = options_.path;
  source.publish(3);
  ASSERT_TRUE(drain(one));
  options_.path = directory_ / "other.log";
  ASSERT_TRUE(drain(other));
  source.publish(6);
  EXPECT_EQ(one.step(options_), TextWriter::Step::stuck);
  options_.path = first;
  ASSERT_TRUE(drain(one));
  EXPECT_EQ(contents(first), joined(lines));
  EXPECT_EQ(other.step(options_), TextWriter::Step::stuck);  // it is locked again
}

TEST_F(TextWriterTest, RefusesASymbolicLinkAndADirectory) {
  const auto lines = numbered_lines(3);
  FakeSource source(lines);
  TextWriter refused = writer(source);
  std::filesystem::create_symlink(directory_ / "elsewhere", options_.path);
  EXPECT_EQ(refused.step(options_), TextWriter::Step::stuck);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "elsewhere"));
  std::filesystem::remove(options_.path);
  std::filesystem::create_directory(options_.path);
  EXPECT_EQ(refused.step(options_), TextWriter::Step::stuck);
  EXPECT_EQ(counters_.errors.value(), 2U);
  std::filesystem::remove(options_.path);
  ASSERT_TRUE(drain(refused));
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, CarriesOnWhereAFullDiskStoppedIt) {
  const auto lines = numbered_lines(50);
  FailingFileSystem files;
  FakeSource source(lines);
  TextWriter running = writer(source, files);
  files.full = true;
  files.torn_bytes = joined(lines).size() / 2;
  EXPECT_EQ(running.step(options_), TextWriter::Step::stuck);
  EXPECT_EQ(running.step(options_), TextWriter::Step::stuck);
  EXPECT_EQ(contents(options_.path).size(), joined(lines).size() / 2);
  files.full = false;
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path), joined(lines));
  EXPECT_EQ(counters_.errors.value(), 2U);
}

TEST_F(TextWriterTest, LeavesAFullDiskForANewPathWithWholeLines) {
  const auto lines = numbered_lines(50);
  FailingFileSystem files;
  FakeSource source(lines);
  TextWriter running = writer(source, files);
  files.full = true;
  files.torn_bytes = lines[0].size() + lines[1].size() + 2;
  EXPECT_EQ(running.step(options_), TextWriter::Step::stuck);
  const std::string old_path = options_.path;
  options_.path = directory_ / "roomy.log";
  EXPECT_EQ(running.step(options_), TextWriter::Step::stuck);
  files.full = false;
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(old_path), lines[0] + lines[1] + lines[2].substr(0, 2));
  EXPECT_EQ(lines[0] + lines[1] + contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, WritesWhatWasRenderedBeforeTheLogFailed) {
  const auto lines = numbered_lines(5);
  FakeSource source(lines);
  TextWriter running = writer(source);
  source.fail_reading(true);
  EXPECT_EQ(running.step(options_), TextWriter::Step::stuck);
  source.fail_reading(false);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path), joined(lines));
}

TEST_F(TextWriterTest, RotatesAtTheSizeAndKeepsAsManyAsAsked) {
  const auto lines = numbered_lines(400);
  options_.rotate_bytes = 1000;
  options_.keep = 3;
  ASSERT_TRUE(drain_with_new_writer(lines));
  EXPECT_GT(counters_.rotations.value(), 5U);
  EXPECT_TRUE(joined(lines).ends_with(contents_with_rotated(options_.path)));
  EXPECT_TRUE(std::filesystem::exists(options_.path + ".3"));
  EXPECT_FALSE(std::filesystem::exists(options_.path + ".4"));
  for (const char* name : {".1", ".2", ".3"}) {
    const auto size = std::filesystem::file_size(options_.path + name);
    EXPECT_GE(size, 1000U);
    EXPECT_LT(size, 1000U + 60U);
  }
}

TEST_F(TextWriterTest, RemovesFilesThatAreNotKeptAnyLonger) {
  const auto lines = numbered_lines(400);
  options_.rotate_bytes = 1000;
  options_.keep = 5;
  FakeSource source(lines);
  source.publish(300);
  TextWriter running = writer(source);
  ASSERT_TRUE(drain(running));
  ASSERT_TRUE(std::filesystem::exists(options_.path + ".5"));
  options_.keep = 0;
  source.publish(400);
  ASSERT_TRUE(drain(running));
  for (const char* name : {".1", ".2", ".3", ".4", ".5"}) {
    EXPECT_FALSE(std::filesystem::exists(options_.path + name)) << name;
  }
}

TEST_F(TextWriterTest, RotatesAtMostTwiceASecond) {
  const auto lines = numbered_lines(400);
  options_.rotate_bytes = 100;
  options_.keep = 1000;
  FakeSource source(lines);
  TextWriter running = writer(source);
  for (std::size_t published = 1; published <= lines.size(); ++published) {
    fake_now += 10 * kNanosPerMilli;
    source.publish(published);
    while (running.step(options_) != TextWriter::Step::idle) {
    }
  }
  EXPECT_EQ(counters_.rotations.value(), 8U) << "400 steps of 10 ms";
  EXPECT_EQ(contents_with_rotated(options_.path), joined(lines));
}

TEST_F(TextWriterTest, RotatesOnRequestUnlessTheFileIsEmpty) {
  const auto lines = numbered_lines(4);
  FakeSource source(lines);
  source.publish(0);
  TextWriter running = writer(source);
  running.request_rotation();
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(counters_.rotations.value(), 0U);
  source.publish(2);
  ASSERT_TRUE(drain(running));
  running.request_rotation();
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path + ".1"), lines[0] + lines[1]);
  EXPECT_EQ(contents(options_.path), "");
  source.publish(4);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path), lines[2] + lines[3]);
}

TEST_F(TextWriterTest, KeepsWritingWhileRotationFails) {
  const auto lines = numbered_lines(100);
  options_.rotate_bytes = 100;
  FailingFileSystem files;
  files.no_rename = true;
  FakeSource source(lines);
  TextWriter running = writer(source, files);
  ASSERT_TRUE(drain(running));
  EXPECT_EQ(contents(options_.path), joined(lines));
  EXPECT_GT(counters_.errors.value(), 0U);
}

/// Runs, ten lines being published at a time, until the file system dies after `operations` or everything is
/// written; true if it died.
bool run_until_death(unsigned operations, TextFileOptions& options, const std::string& cursor_path,
                     const std::vector<std::string>& lines, std::size_t& published) {
  DyingFileSystem files(operations);
  FakeSource source(lines);
  TextFileCounters counters;
  TextWriter doomed("main", cursor_path, source, counters, files, &fake_clock);
  for (;;) {
    source.publish(published);
    fake_now += kNanosPerSecond;
    const auto step = doomed.step(options);
    if (files.dead()) return true;
    if (step != TextWriter::Step::idle) continue;
    if (published >= lines.size()) return false;
    published += 10;
  }
}

TEST_F(TextWriterTest, LosesAndRepeatsNothingWhereverItIsKilled) {
  const auto lines = numbered_lines(90);
  options_.rotate_bytes = 300;
  options_.keep = 1000;
  unsigned deaths = 0;
  for (unsigned first = 1;; ++first) {
    for (unsigned second = 0; second <= 8; ++second) {  // a second death during the recovery from the first
      const TemporaryDirectory directory;
      options_.path = directory / "main.log";
      const std::string cursor = directory / "text.cursor";
      std::size_t published = 0;
      if (!run_until_death(first, options_, cursor, lines, published)) {
        EXPECT_GT(deaths, 200U);
        return;
      }
      if (second > 0) run_until_death(second, options_, cursor, lines, published);
      ASSERT_FALSE(run_until_death(UINT32_MAX, options_, cursor, lines, published));
      ASSERT_EQ(contents_with_rotated(options_.path), joined(lines))
          << "killed by operation " << first << ", then " << second;
      ++deaths;
    }
  }
}

TEST_F(TextWriterTest, AnInterruptedRotationMovesNoFileOffTheEndTwice) {
  const auto lines = numbered_lines(90);
  options_.rotate_bytes = 300;
  options_.keep = 4;
  for (unsigned first = 1;; ++first) {
    const TemporaryDirectory directory;
    options_.path = directory / "main.log";
    const std::string cursor = directory / "text.cursor";
    std::size_t published = 0;
    if (!run_until_death(first, options_, cursor, lines, published)) return;
    ASSERT_FALSE(run_until_death(UINT32_MAX, options_, cursor, lines, published));
    ASSERT_TRUE(joined(lines).ends_with(contents_with_rotated(options_.path))) << "operation " << first;
    ASSERT_TRUE(std::filesystem::exists(options_.path + ".4")) << "operation " << first;
    ASSERT_FALSE(std::filesystem::exists(options_.path + ".5")) << "operation " << first;
  }
}

}  // namespace
}  // namespace fastlogd::follow::test
