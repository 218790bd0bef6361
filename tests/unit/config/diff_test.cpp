#include "config/diff.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> lines(const Config& from, const Config& to) {
  std::vector<std::string> formatted;
  for (const Change& change : diff(from, to)) formatted.push_back(format_change(change));
  return formatted;
}

Config changed(const std::function<void(Config&)>& change) {
  Config config = default_config();
  change(config);
  sort_by_name(config);
  return config;
}

ingest::ListenerOptions tcp_listener(std::string name, std::string stream = "main") {
  ingest::ListenerOptions listener;
  listener.name = std::move(name);
  listener.transport = ingest::ListenerTransport::tcp;
  listener.address = "127.0.0.1";
  listener.port = 5140;
  listener.stream = std::move(stream);
  return listener;
}

StreamConfig stream_named(const std::string& name) {
  StreamConfig stream;
  stream.store.name = name;
  stream.store.directory = "/data/" + name;
  return stream;
}

TEST(Diff, EqualConfigurationsHaveNone) {
  EXPECT_THAT(diff(default_config(), default_config()), IsEmpty());
}

TEST(Diff, NamesEveryKeyWithBothValues) {
  const Config to = changed([](Config& config) {
    append::StreamOptions& store = config.streams[0].store;
    store.retention.bytes_max = 1'500'000;
    store.retention.age_max = std::chrono::hours(720);
    store.durability.interval = std::chrono::microseconds(1500);
    store.durability.sync_severity = 3;
    store.durability.on_failure = append::OnSyncFailure::stop;
    config.streams[0].text->keep = 3;
    config.limits.record_bytes_max = 1000;
    config.daemon.diagnostics = {.level = diag::Level::debug, .profiling = daemon::ProfilingAccess::http};
    config.listeners[0].mode = 0600;
  });
  EXPECT_THAT(
      lines(default_config(), to),
      ElementsAre("diagnostics.level: info -> debug", "diagnostics.profiling: off -> http",
                  "limits.record_bytes_max: 64KiB -> 1000", "listeners.app.mode: 0666 -> 0600",
                  "streams.main.durability.interval: 1s -> 1500us",
                  "streams.main.durability.on_failure: fail-over -> stop",
                  "streams.main.durability.sync_severity: none -> err",
                  "streams.main.retention.age_max: 0 -> 30d",
                  "streams.main.retention.bytes_max: 8GiB -> 1500000", "streams.main.text.keep: 10 -> 3"));
}

TEST(Diff, SaysWhatNeedsARestart) {
  const Config to = changed([](Config& config) {
    config.daemon.runtime_directory = "/run/x";
    config.http.port = 1;
    config.io.threads = 2;
    config.streams[0].store.directory = "/data";
    config.streams[0].store.segment_bytes = 1 << 20;
    config.streams[0].store.durability.mode = append::DurabilityMode::none;
    config.streams.push_back(stream_named("audit"));
  });
  EXPECT_THAT(lines(default_config(), to),
              ElementsAre("http.port: 9514 -> 1 (needs a restart)", "io.threads: 0 -> 2 (needs a restart)",
                          "runtime_directory: /run/fastlogd -> /run/x (needs a restart)",
                          "streams.audit: added /data/audit (needs a restart)",
                          "streams.main.directory: /var/log/fastlogd/main -> /data (needs a restart)",
                          "streams.main.durability.mode: interval -> none (needs a restart)",
                          "streams.main.segment_bytes: 256MiB -> 1MiB (needs a restart)"));
}

TEST(Diff, ShowsListenersAndTextFilesThatComeAndGoAsAWhole) {
  const Config to = changed([](Config& config) {
    config.listeners.erase(config.listeners.begin());
    config.listeners.push_back(tcp_listener("tcp"));
    config.streams[0].text.reset();
  });
  EXPECT_THAT(lines(default_config(), to),
              ElementsAre("listeners.app: removed unix-stream /run/fastlogd/app.sock to stream main",
                          "listeners.tcp: added tcp 127.0.0.1 port 5140 to stream main",
                          "streams.main.text: removed /var/log/fastlogd/main.log"));
}

TEST(Diff, AListenerWaitsForItsStream) {
  const Config to = changed([](Config& config) {
    config.streams.push_back(stream_named("audit"));
    config.listeners.push_back(tcp_listener("tcp", "audit"));
    config.listeners[0].stream = "audit";
    config.listeners[0].mode = 0600;
  });
  EXPECT_THAT(lines(default_config(), to),
              ElementsAre("listeners.app.mode: 0666 -> 0600 (needs a restart)",
                          "listeners.app.stream: main -> audit (needs a restart)",
                          "listeners.tcp: added tcp 127.0.0.1 port 5140 to stream audit (needs a restart)",
                          "streams.audit: added /data/audit (needs a restart)"));
}

TEST(Diff, IsEmptyExactlyWhenTheConfigurationsAreEqual) {
  const std::vector<std::function<void(Config&)>> changes{
      [](Config& c) { c.daemon.runtime_directory += "x"; },
      [](Config& c) { c.io.ring_bytes *= 2; },
      [](Config& c) { c.limits.connections_max += 1; },
      [](Config& c) { c.limits.shared_rings_max += 1; },
      [](Config& c) { c.limits.shared_bytes_max += 1; },
      [](Config& c) { c.http.enabled = false; },
      [](Config& c) { c.http.address = "::1"; },
      [](Config& c) { c.streams[0].store.retention.keep_free += 1; },
      [](Config& c) { c.streams[0].store.retention.age_max += std::chrono::nanoseconds(1); },
      [](Config& c) { c.streams[0].store.when_full = append::WhenFull::block; },
      [](Config& c) { c.streams[0].store.durability.group_window = std::chrono::nanoseconds(0); },
      [](Config& c) { c.streams[0].store.durability.sync_severity = 0; },
      [](Config& c) { c.streams[0].text->path += "x"; },
      [](Config& c) { c.streams[0].text->rotate_bytes += 1; },
      [](Config& c) { c.listeners[0].transport = ingest::ListenerTransport::unix_datagram; },
      [](Config& c) { c.listeners[0].path += "x"; },
      [](Config& c) { c.listeners[0].address = "127.0.0.1"; },
      [](Config& c) { c.listeners[0].port = 7; },
      [](Config& c) { c.listeners[0].framing = ingest::ListenerFraming::lines; },
      [](Config& c) { c.listeners[0].format = ingest::ListenerFormat::raw; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_EQ(diff(default_config(), changed(changes[i])).size(), 1U) << "change " << i;
  }
}

TEST(MergeLive, TakesLiveKeysAndKeepsTheRest) {
  const Config wanted = changed([](Config& config) {
    config.http.port = 1;
    config.io.threads = 2;
    config.daemon.runtime_directory = "/run/x";
    config.daemon.diagnostics.level = diag::Level::error;
    config.limits.connections_max = 1;
    append::StreamOptions& store = config.streams[0].store;
    store.directory = "/data";
    store.segment_bytes = 1 << 20;
    store.durability = {.mode = append::DurabilityMode::group,
                        .interval = std::chrono::seconds(9),
                        .group_window = std::chrono::milliseconds(3),
                        .sync_severity = 2,
                        .on_failure = append::OnSyncFailure::stop};
    store.retention.bytes_max = 5 << 20;
    store.when_full = append::WhenFull::drop_newest;
    config.streams[0].text->path = "/other.log";
    config.listeners = {tcp_listener("tcp")};
  });
  const Config next = merge_live(default_config(), wanted);
  const Config expected = changed([](Config& config) {
    config.daemon.diagnostics.level = diag::Level::error;
    config.limits.connections_max = 1;
    append::StreamOptions& store = config.streams[0].store;
    store.durability = {.mode = append::DurabilityMode::interval,
                        .interval = std::chrono::seconds(9),
                        .group_window = std::chrono::milliseconds(3),
                        .sync_severity = 2,
                        .on_failure = append::OnSyncFailure::stop};
    store.retention.bytes_max = 5 << 20;
    store.when_full = append::WhenFull::drop_newest;
    config.streams[0].text->path = "/other.log";
    config.listeners = {tcp_listener("tcp")};
  });
  EXPECT_EQ(next, expected);
}

TEST(MergeLive, WhatIsLeftOverIsExactlyWhatNeedsARestart) {
  const Config wanted = changed([](Config& config) {
    config.streams[0].store.directory = "/data";
    config.streams[0].store.retention.bytes_max = 1 << 30;
    config.streams.push_back(stream_named("audit"));
    config.listeners[0].stream = "audit";
    config.listeners.push_back(tcp_listener("tcp", "audit"));
    config.listeners.push_back(tcp_listener("more"));
  });
  const Config next = merge_live(default_config(), wanted);
  EXPECT_EQ(next.find_listener("tcp"), nullptr) << "its stream doesn't run";
  EXPECT_EQ(*next.find_listener("app"), *default_config().find_listener("app"));
  EXPECT_NE(next.find_listener("more"), nullptr);
  std::vector<Change> restart;
  for (const Change& change : diff(default_config(), wanted)) {
    if (change.applies == Applies::needs_restart) restart.push_back(change);
  }
  EXPECT_EQ(diff(next, wanted), restart);
  EXPECT_EQ(merge_live(next, wanted), next);
}

TEST(MergeLive, KeepsAStreamThatWasRemoved) {
  Config running = default_config();
  running.streams.push_back(stream_named("audit"));
  sort_by_name(running);
  EXPECT_EQ(merge_live(running, default_config()).streams.size(), 2U);
}

}  // namespace
}  // namespace fastlogd::config
