// Receive times that go back: because the clock was set, or because records had to wait for the store.
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "segment/log_reader.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::StoreHarness;
using test::TempDirectory;

constexpr std::int64_t kMinute = 60 * kNanosPerSecond;

StreamOptions options_in(const TempDirectory& directory) {
  StreamOptions options;
  options.name = std::filesystem::path(directory.path()).filename().string();
  options.directory = directory.path() + "/log";
  options.segment_bytes = limits::kMiB;
  options.retention = {.bytes_max = 0, .keep_free = 0};
  return options;
}

/// segment -> receive times, in order.
std::map<std::uint64_t, std::vector<std::int64_t>> times_in(const StreamOptions& options) {
  std::map<std::uint64_t, std::vector<std::int64_t>> times;
  auto reader = segment::LogReader::open(options.directory, segment::Access::pread);
  segment::LogItem item;
  while (reader && reader->next(item) == segment::ReadStatus::item)
    times[item.position.segment()].push_back(item.record.receive_time_ns);
  return times;
}

TEST(ReceiveTimes, BeginANewSegmentWhereTheClockWasSetBack) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  const std::int64_t now = realtime_ns();
  harness.send({"an hour ahead", "of the clock"}, 0, now + 60 * kMinute);
  harness.send({"after it was set"}, 0, now);
  harness.send({"and after that"}, 0, now + 1);
  ASSERT_TRUE(harness.wait_until_stored(4));
  const auto times = times_in(options);
  ASSERT_EQ(times.size(), 2U);
  EXPECT_EQ(times.at(1), std::vector<std::int64_t>(2, now + 60 * kMinute));
  ASSERT_EQ(times.at(2).size(), 2U);
  EXPECT_LT(times.at(2).back(), now + kMinute) << "not held at what the first segment had reached";
}

TEST(ReceiveTimes, OfRecordsThatHadToWaitBeginNoSegments) {
  const TempDirectory directory;
  const auto options = options_in(directory);
  StoreHarness harness(options);
  harness.define_source(0, {.identifier = "x"});
  for (int i = 0; i < 20; ++i) harness.send({"late"}, 0, realtime_ns() - kMinute);
  ASSERT_TRUE(harness.wait_until_stored(20));
  EXPECT_EQ(harness.store->counters().rolls.value(), 0U);
  const auto times = times_in(options);
  ASSERT_EQ(times.size(), 1U);
  EXPECT_TRUE(std::is_sorted(times.at(1).begin(), times.at(1).end()));
}

}  // namespace
}  // namespace fastlogd::append
