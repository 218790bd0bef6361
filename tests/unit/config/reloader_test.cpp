#include "config/reloader.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/config_support.hpp"

namespace fastlogd::config {
namespace {

using ::testing::HasSubstr;
using Kind = ReloadOutcome::Kind;

class ReloaderTest : public ::testing::Test {
 protected:
  std::string write(std::string_view text) { return directory_.write("fastlogd.yaml", text); }

  Reloader start(std::string_view text) {
    const std::string path = write(text);
    return {path, load(path), MissingFile::refused, counters_};
  }

  void expect_counts(std::uint64_t success, std::uint64_t failure) const {
    EXPECT_EQ(counters_.reload_success.value(), success);
    EXPECT_EQ(counters_.reload_failure.value(), failure);
    EXPECT_EQ(counters_.generation.load(), 1 + success);
  }

  TemporaryDirectory directory_;
  ConfigCounters counters_;
};

TEST_F(ReloaderTest, SameBytesAreNothingToTheWatch) {
  Reloader reloader = start("http: {port: 1}\n");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
  directory_.replace("fastlogd.yaml", "http: {port: 1}\n");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
  expect_counts(0, 0);
}

TEST_F(ReloaderTest, NewBytesAreOneReload) {
  Reloader reloader = start("limits: {connections_max: 1}\n");
  write("limits: {connections_max: 2}\n");
  const ReloadOutcome outcome = reloader.reload(Trigger::watch);
  ASSERT_EQ(outcome.kind, Kind::ready);
  ASSERT_EQ(outcome.changes.size(), 1U);
  EXPECT_EQ(format_change(outcome.changes[0]), "limits.connections_max: 1 -> 2");
  EXPECT_EQ(reloader.running()->limits.connections_max, 1U) << "not before committed()";
  expect_counts(0, 0);
  reloader.committed();
  EXPECT_EQ(reloader.running(), outcome.candidate);
  EXPECT_EQ(reloader.running()->limits.connections_max, 2U);
  expect_counts(1, 0);
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
}

TEST_F(ReloaderTest, BadBytesFailOnceAndTheOldStays) {
  Reloader reloader = start("limits: {connections_max: 1}\n");
  write("limits: {connections_max: x}\n");
  const ReloadOutcome outcome = reloader.reload(Trigger::watch);
  EXPECT_EQ(outcome.kind, Kind::refused);
  EXPECT_THAT(format_problems(outcome.problems), HasSubstr("fastlogd.yaml:1:27: 'x' is not a whole number"));
  EXPECT_EQ(reloader.last_error(), format_problems(outcome.problems));
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
  EXPECT_EQ(reloader.running()->limits.connections_max, 1U);
  expect_counts(0, 1);
  EXPECT_FALSE(counters_.last_reload_successful.load());
}

TEST_F(ReloaderTest, GoodBytesAfterBadOnesSucceedEvenWithoutAChange) {
  Reloader reloader = start("limits: {connections_max: 1}\n");
  write("limits: [\n");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::refused);
  write("limits: {connections_max: 1}\n");
  const ReloadOutcome outcome = reloader.reload(Trigger::watch);
  ASSERT_EQ(outcome.kind, Kind::ready);
  EXPECT_TRUE(outcome.changes.empty());
  reloader.committed();
  EXPECT_TRUE(counters_.last_reload_successful.load());
  EXPECT_EQ(reloader.last_error(), "");
  expect_counts(1, 1);
}

TEST_F(ReloaderTest, ARequestIsAnsweredEvenForTheSameBytes) {
  Reloader reloader = start("http: {port: 1}\n");
  EXPECT_EQ(reloader.reload(Trigger::request).kind, Kind::ready);
  reloader.committed();
  write("http: [\n");
  EXPECT_EQ(reloader.reload(Trigger::request).kind, Kind::refused);
  EXPECT_EQ(reloader.reload(Trigger::request).kind, Kind::refused);
  expect_counts(1, 2);
}

TEST_F(ReloaderTest, AFailedPreparationCountsAndTheOldStays) {
  Reloader reloader = start("limits: {connections_max: 1}\n");
  write("limits: {connections_max: 2}\n");
  ASSERT_EQ(reloader.reload(Trigger::watch).kind, Kind::ready);
  reloader.failed("bind 127.0.0.1:1: Permission denied");
  EXPECT_EQ(reloader.running()->limits.connections_max, 1U);
  EXPECT_EQ(reloader.last_error(), "bind 127.0.0.1:1: Permission denied");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged) << "the same bytes would fail again";
  expect_counts(0, 1);
  ASSERT_EQ(reloader.reload(Trigger::request).kind, Kind::ready) << "a person may have repaired the cause";
  reloader.committed();
  expect_counts(1, 1);
}

TEST_F(ReloaderTest, EmptiedAndMissingFilesAreRefused) {
  Reloader reloader = start("http: {port: 1}\n");
  write("");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::refused);
  std::filesystem::remove(directory_.path("fastlogd.yaml"));
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::refused);
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
  expect_counts(0, 2);
}

TEST_F(ReloaderTest, StartedWithoutAFileItTakesOneThatComesAndMissesItWhenItGoes) {
  const std::string path = directory_.path("fastlogd.yaml");
  Reloader reloader(path, load(path, MissingFile::defaults), MissingFile::defaults, counters_);
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::unchanged);
  EXPECT_EQ(reloader.reload(Trigger::request).kind, Kind::ready);
  reloader.committed();
  write("limits: {connections_max: 5}\n");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::ready);
  reloader.committed();
  std::filesystem::remove(path);
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::refused);
}

TEST_F(ReloaderTest, WhatNeedsARestartIsReportedAndTheRestApplies) {
  Reloader reloader = start("http: {port: 1}\nlimits: {connections_max: 1}\n");
  write("http: {port: 2}\nlimits: {connections_max: 2}\n");
  const ReloadOutcome outcome = reloader.reload(Trigger::watch);
  ASSERT_EQ(outcome.kind, Kind::ready);
  EXPECT_EQ(outcome.changes.size(), 2U);
  EXPECT_EQ(outcome.candidate->http.port, 1);
  EXPECT_EQ(outcome.candidate->limits.connections_max, 2U);
  reloader.committed();
  ASSERT_EQ(reloader.waiting_for_restart().size(), 1U);
  EXPECT_EQ(format_change(reloader.waiting_for_restart()[0]), "http.port: 1 -> 2 (needs a restart)");
  write("http: {port: 1}\nlimits: {connections_max: 2}\n");
  ASSERT_EQ(reloader.reload(Trigger::watch).kind, Kind::ready);
  reloader.committed();
  EXPECT_TRUE(reloader.waiting_for_restart().empty());
}

TEST_F(ReloaderTest, RefusesAMixtureThatWouldConflict) {
  Reloader reloader = start("streams: {main: {directory: /a}}\n");
  write("streams: {main: {directory: /b, text: {path: /a/main.log}}}\n");
  const ReloadOutcome outcome = reloader.reload(Trigger::watch);
  EXPECT_EQ(outcome.kind, Kind::refused);
  EXPECT_THAT(format_problems(outcome.problems), HasSubstr("before a restart this can't be applied"));
}

TEST_F(ReloaderTest, DryRunHasNoEffect) {
  Reloader reloader = start("limits: {connections_max: 1}\n");
  write("limits: {connections_max: 2}\n");
  EXPECT_EQ(reloader.dry_run().changes.size(), 1U);
  write("limits: [\n");
  EXPECT_EQ(reloader.dry_run().kind, Kind::refused);
  expect_counts(0, 0);
  write("limits: {connections_max: 2}\n");
  EXPECT_EQ(reloader.reload(Trigger::watch).kind, Kind::ready) << "the watch has not seen them yet";
}

}  // namespace
}  // namespace fastlogd::config
