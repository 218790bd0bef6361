#include "metrics/registry.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "metrics/process_metrics.hpp"

namespace fastlogd::metrics {
namespace {

/// Samples of an exposition: "name{labels}" -> value.
std::map<std::string, double> parse(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.rfind(' ');
    const bool is_new = samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second;
    EXPECT_TRUE(is_new) << "twice in one scrape: " << line;
  }
  return samples;
}

double sum_of(const std::map<std::string, double>& samples, const std::string& name) {
  double sum = 0;
  for (const auto& [key, value] : samples) {
    if (key == name || key.starts_with(name + "{")) sum += value;
  }
  return sum;
}

constexpr std::uint64_t kLast = std::uint64_t{1} << 63;  // nothing more is handed over

struct Stages {
  std::shared_ptr<ingest::ListenerCounters> first = std::make_shared<ingest::ListenerCounters>();
  std::shared_ptr<ingest::ListenerCounters> second = std::make_shared<ingest::ListenerCounters>();
  std::shared_ptr<append::AppendCounters> stream = std::make_shared<append::AppendCounters>();
  std::shared_ptr<follow::TextFileCounters> text = std::make_shared<follow::TextFileCounters>();
  std::shared_ptr<config::ConfigCounters> config = std::make_shared<config::ConfigCounters>();
  StreamMode mode{"interval", "4KiB"};
  Registry registry;

  Stages() {
    registry.add_listener({"app", "unix-stream", "main"}, first);
    registry.add_listener({"app", "unix-stream", "main"}, second);
    registry.add_stream("main", [this] { return mode; }, stream, {.notes = 3, .damage_notes = 2});
    registry.add_text_file("main", text);
    registry.set_config(config);
  }
};

TEST(Registry, AddsUpTheIoThreadsOfOneListener) {
  Stages stages;
  stages.first->received_records.add(3);
  stages.second->received_records.add(4);
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(
      samples.at(R"(fastlogd_received_records_total{listener="app",transport="unix-stream",stream="main"})"),
      7);
}

TEST(Registry, CountsARegisteredListenerOnceHoweverOftenItIsAdded) {
  Stages stages;
  stages.first->received_records.add(3);
  stages.registry.add_listener({"app", "unix-stream", "main"}, stages.first);
  EXPECT_EQ(stages.registry.balance().received, 3U);
}

TEST(Registry, ShowsEveryStageAndReasonOfALossFromTheStart) {
  Stages stages;
  const auto samples = parse(stages.registry.render());
  for (const char* labels :
       {R"(stage="ingest",reason="ring_full")", R"(stage="ingest",reason="shutdown")",
        R"(stage="append",reason="segment_full")", R"(stage="append",reason="store_failed")",
        R"(stage="append",reason="shutdown")"}) {
    EXPECT_EQ(samples.count("fastlogd_dropped_records_total{" + std::string(labels) + "}"), 1U) << labels;
  }
  EXPECT_EQ(samples.count(R"(fastlogd_lost_before_receipt_records_total{where="kernel"})"), 1U);
  EXPECT_EQ(samples.count(R"(fastlogd_lost_before_receipt_records_total{where="client"})"), 1U);
}

TEST(Registry, SaysWhetherTheFileBeingWrittenStillHasItsName) {
  Stages stages;
  const std::string sample = R"(fastlogd_active_segment_removed{stream="main"})";
  EXPECT_EQ(parse(stages.registry.render()).at(sample), 0);
  stages.stream->active_removed.store(true);
  EXPECT_EQ(parse(stages.registry.render()).at(sample), 1);
}

TEST(Registry, BalancesWhatWasReceivedAgainstWhatBecameOfIt) {
  Stages stages;
  stages.first->received_records.add(100);
  stages.first->dropped_records[0].add(5);
  stages.stream->stored_records.add(77);
  stages.stream->repeated_records.add(3);
  stages.stream->dropped_records[1].add(7);
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(samples.at("fastlogd_in_flight_records"), 8);
  EXPECT_EQ(
      sum_of(samples, "fastlogd_received_records_total"),
      sum_of(samples, "fastlogd_stored_records_total") + sum_of(samples, "fastlogd_repeated_records_total") +
          sum_of(samples, "fastlogd_dropped_records_total") + sum_of(samples, "fastlogd_in_flight_records"));
}

TEST(Registry, KeepsTheEquationInEveryScrapeWhileRecordsMove) {
  Stages stages;
  constexpr int kScrapes = 200;
  std::atomic<std::uint64_t> handed_over{0};
  std::atomic<bool> receiving{true};
  std::thread receiver([&] {
    for (std::uint64_t i = 1; receiving.load(); ++i) {
      stages.first->received_records.add();
      handed_over.store(i, std::memory_order_release);
    }
    handed_over.fetch_or(kLast);
  });
  std::thread appender([&] {
    for (std::uint64_t done = 0, seen = 0; (seen & kLast) == 0;) {
      seen = handed_over.load(std::memory_order_acquire);
      stages.stream->stored_records.add((seen & ~kLast) - done);
      done = seen & ~kLast;
    }
  });
  double previous = -1;
  for (int i = 0; i < kScrapes; ++i) {
    const auto samples = parse(stages.registry.render());
    const double received = sum_of(samples, "fastlogd_received_records_total");
    const double in_flight = samples.at("fastlogd_in_flight_records");
    EXPECT_GE(in_flight, 0);
    EXPECT_LE(in_flight, received);  // a negative number would show as nearly 2^64
    EXPECT_EQ(received, sum_of(samples, "fastlogd_stored_records_total") + in_flight);
    EXPECT_GE(received, previous);
    previous = received;
  }
  receiving = false;
  receiver.join();
  appender.join();
  EXPECT_EQ(stages.registry.balance().in_flight, 0U);
}

TEST(Registry, WritesLargeCountsExactly) {
  Stages stages;
  stages.stream->stored_bytes.add(9'007'199'254'740'991);  // 2^53 - 1
  EXPECT_NE(stages.registry.render().find("fastlogd_stored_bytes_total{stream=\"main\"} 9007199254740991\n"),
            std::string::npos);
}

TEST(Registry, EscapesWhatALabelValueMayHold) {
  Stages stages;
  stages.registry.add_listener({"a\"b\\c\nd", "tcp", "main"}, std::make_shared<ingest::ListenerCounters>());
  EXPECT_NE(stages.registry.render().find(R"(listener="a\"b\\c\nd")"), std::string::npos);
}

TEST(Registry, ShowsTheLagOfTheTextFileThatIsWrittenNow) {
  Stages stages;
  stages.text->lag_bytes = 500;
  stages.text->lines.add(10);
  const auto moved = std::make_shared<follow::TextFileCounters>();
  moved->lag_bytes = 20;
  moved->lines.add(2);
  stages.registry.add_text_file("main", moved);
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(samples.at(R"(fastlogd_text_lag_bytes{stream="main"})"), 20);
  EXPECT_EQ(samples.at(R"(fastlogd_text_lines_total{stream="main"})"), 12);
}

TEST(Registry, ShowsReloadsAndTheGenerationInForce) {
  Stages stages;
  stages.config->reload_success.add(2);
  stages.config->reload_failure.add(1);
  stages.config->last_reload_successful = false;
  stages.config->generation = 3;
  stages.config->last_reload_success_time_ns = 1'700'000'000'500'000'000;
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(samples.at("fastlogd_config_reload_success_total"), 2);
  EXPECT_EQ(samples.at("fastlogd_config_reload_failure_total"), 1);
  EXPECT_EQ(samples.at("fastlogd_config_last_reload_successful"), 0);
  EXPECT_EQ(samples.at("fastlogd_config_generation"), 3);
  EXPECT_EQ(samples.at("fastlogd_config_last_reload_success_timestamp_seconds"), 1'700'000'000.5);
}

TEST(Registry, ShowsTheModeInForceAtTheTimeOfTheScrape) {
  Stages stages;
  stages.mode.write = "mapping";
  stages.mode.page_size = "2MiB";
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(
      samples.at(
          R"(fastlogd_stream_mode_info{stream="main",durability="interval",write="mapping",page_size="2MiB"})"),
      1);
}

TEST(Registry, ShowsWhatTheStartHasFound) {
  const Stages stages;
  const auto samples = parse(stages.registry.render());
  EXPECT_EQ(samples.at(R"(fastlogd_recovery_notes{stream="main"})"), 3);
  EXPECT_EQ(samples.at(R"(fastlogd_recovery_damage_notes{stream="main"})"), 2);
}

TEST(Registry, ShowsHowLongSyncsTookAndWhoWaitsForOne) {
  Stages stages;
  append::AppendCounters& counters = *stages.stream;
  for (const std::int64_t nanos : {90'000LL, 100'000LL, 2'000'000LL, 60'000'000'000LL}) {
    counters.sync_duration.add(nanos);
  }
  counters.sync_wishes.add(9);
  counters.sync_wishes_settled.set(4);
  const auto samples = parse(stages.registry.render());
  const auto bucket = [&](const std::string& bound) {
    return samples.at("fastlogd_sync_duration_seconds_bucket{stream=\"main\",le=\"" + bound + "\"}");
  };
  EXPECT_EQ(bucket("0.0001"), 2);
  EXPECT_EQ(bucket("0.001"), 2);
  EXPECT_EQ(bucket("0.0025"), 3);
  EXPECT_EQ(bucket("10"), 3);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(samples.at(R"(fastlogd_sync_duration_seconds_count{stream="main"})"), 4);
  EXPECT_NEAR(samples.at(R"(fastlogd_sync_duration_seconds_sum{stream="main"})"), 60.00219, 1e-6);
  EXPECT_EQ(samples.at(R"(fastlogd_sync_waiting_records{stream="main"})"), 5);
}

TEST(Registry, ShowsTheProcess) {
  const Stages stages;
  const auto samples = parse(stages.registry.render());
  EXPECT_GT(samples.at("process_resident_memory_bytes"), 1'000'000);
  EXPECT_GT(samples.at("process_open_fds"), 2);
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_NEAR(samples.at("process_start_time_seconds"), now, 600);
}

TEST(Registry, PassesPromtoolsLint) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  const Stages stages;
  char path[] = "/tmp/fastlogd_metrics_XXXXXX";
  const int fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  ::close(fd);
  std::ofstream(path) << stages.registry.render();
  const std::string command = "promtool check metrics <" + std::string(path) + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output.push_back(static_cast<char>(c));
  EXPECT_EQ(::pclose(pipe), 0) << output;
  EXPECT_EQ(output, "");
  ::unlink(path);
}

TEST(ProcessStat, ReadsPastACommandNameWithSpacesAndParentheses) {
  const auto stat = parse_process_stat(
      "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1000 8192 2 18446744073709551615", 100,
      4096);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->cpu_seconds, 2.0);
  EXPECT_EQ(stat->threads, 3U);
  EXPECT_EQ(stat->start_seconds_since_boot, 10.0);
  EXPECT_EQ(stat->virtual_bytes, 8192U);
  EXPECT_EQ(stat->resident_bytes, 8192U);
}

TEST(ProcessStat, RefusesALineThatIsTooShort) {
  EXPECT_FALSE(parse_process_stat("7 (a) S 1 7", 100, 4096).has_value());
  EXPECT_FALSE(parse_process_stat("", 100, 4096).has_value());
}

}  // namespace
}  // namespace fastlogd::metrics
