#include "config/load.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/config_support.hpp"

namespace fastlogd::config {
namespace {

using ::testing::HasSubstr;

/// The build directory lies inside the source tree, so the way up from this program passes config/.
std::filesystem::path source_tree() {
  std::filesystem::path at = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  while (at != at.root_path() && !std::filesystem::exists(at / "config" / "fastlogd.yaml"))
    at = at.parent_path();
  return at;
}

std::string shipped(const std::string& name) {
  return source_tree() / "config" / name;
}

TEST(ShippedConfiguration, CommentedFileEqualsTheDefaultsItDocuments) {
  const Loaded loaded = load(shipped("fastlogd.yaml"));
  ASSERT_EQ(format_problems(loaded.problems), "");
  EXPECT_EQ(*loaded.config, default_config());
}

TEST(ShippedConfiguration, EveryCommentedOutExampleLoadsToo) {
  std::ifstream file(shipped("fastlogd.yaml"));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::size_t examples = 0;
  for (std::size_t at = text.find("\n  # "); at != std::string::npos; at = text.find("\n  # ", at + 1)) {
    text.erase(at + 3, 2);
    ++examples;
  }
  EXPECT_EQ(examples, 6U);
  const Loaded loaded = load_text(text);
  ASSERT_EQ(format_problems(loaded.problems), "");
  EXPECT_NE(loaded.config->find_stream("audit"), nullptr);
  EXPECT_NE(loaded.config->find_listener("udp"), nullptr);
}

TEST(ShippedConfiguration, MinimalFileGetsTheDefaultListeners) {
  const Loaded loaded = load(shipped("minimal.yaml"));
  ASSERT_EQ(format_problems(loaded.problems), "");
  EXPECT_EQ(loaded.config->listeners, default_config().listeners);
  EXPECT_FALSE(loaded.config->streams.at(0).text);
}

TEST(ShippedConfiguration, ExamplesOfTheManPageLoadAsDropIns) {
  std::ifstream file(source_tree() / "docs" / "fastlogd.yaml.5.scd");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string main_file = read_sources(shipped("fastlogd.yaml")).files.at(0).bytes;
  std::size_t examples = 0;
  for (std::size_t at = page.find("```\n"); at != std::string::npos; at = page.find("```\n", at + 4)) {
    const std::size_t begin = at + 4;
    at = page.find("```\n", begin);
    ASSERT_NE(at, std::string::npos) << "an example without an end";
    EXPECT_EQ(problems_of(main_file, page.substr(begin, at - begin)), "");
    ++examples;
  }
  EXPECT_EQ(examples, 2U);
}

TEST(Load, ReadsEveryKeyOfTheSchema) {
  const Loaded loaded = load_text(R"(
runtime_directory: /run/x/
streams:
  audit:
    directory: /data//audit/
    segment_bytes: 4MiB
    durability: {mode: group, interval: 250ms, group_window: 2ms, sync_severity: crit, on_failure: stop}
    retention: {bytes_max: 1GiB, age_max: 30d, keep_free: 0}
    when_full: block
    text: {path: /data/audit.log, rotate_bytes: 1MiB, keep: 3}
listeners:
  - {name: udp, transport: udp, address: "::1", port: 5140, stream: audit, format: raw}
  - {name: app, transport: unix-stream, path: /run/x/a.sock, mode: "0600", stream: audit, framing: lines}
http: {enabled: false, address: 0.0.0.0, port: 1}
limits: {record_bytes_max: 1KiB, connections_max: 7}
io: {threads: 2, ring_bytes: 4MiB}
diagnostics: {level: debug, profiling: control}
)");
  ASSERT_EQ(format_problems(loaded.problems), "");
  const Config& config = *loaded.config;
  EXPECT_EQ(config.daemon.runtime_directory, "/run/x");
  EXPECT_EQ(config.daemon.diagnostics.level, diag::Level::debug);
  EXPECT_EQ(config.daemon.diagnostics.profiling, daemon::ProfilingAccess::control);
  ASSERT_EQ(config.streams.size(), 1U);
  const append::StreamOptions& store = config.streams[0].store;
  EXPECT_EQ(store.name, "audit");
  EXPECT_EQ(store.directory, "/data/audit");
  EXPECT_EQ(store.segment_bytes, 4U << 20);
  EXPECT_EQ(store.durability, (append::Durability{.mode = append::DurabilityMode::group,
                                                  .interval = std::chrono::milliseconds(250),
                                                  .group_window = std::chrono::milliseconds(2),
                                                  .sync_severity = 2,
                                                  .on_failure = append::OnSyncFailure::stop}));
  EXPECT_EQ(store.retention.bytes_max, 1U << 30);
  EXPECT_EQ(store.retention.age_max, std::chrono::hours(720));
  EXPECT_EQ(store.retention.keep_free, 0U);
  EXPECT_EQ(store.when_full, append::WhenFull::block);
  EXPECT_EQ(config.streams[0].text, (follow::TextFileOptions{"/data/audit.log", 1 << 20, 3}));
  ASSERT_EQ(config.listeners.size(), 2U);
  EXPECT_EQ(config.listeners[0].name, "app") << "sorted by name";
  EXPECT_EQ(config.listeners[0].mode, 0600U);
  EXPECT_EQ(config.listeners[0].framing, ingest::ListenerFraming::lines);
  EXPECT_EQ(config.listeners[1].address, "::1");
  EXPECT_EQ(config.listeners[1].port, 5140);
  EXPECT_EQ(config.listeners[1].format, ingest::ListenerFormat::raw);
  EXPECT_FALSE(config.http.enabled);
  EXPECT_EQ(config.limits.record_bytes_max, 1024U);
  EXPECT_EQ(config.limits.connections_max, 7U);
  EXPECT_EQ(config.io.threads, 2U);
  EXPECT_EQ(config.io.ring_bytes, 4U << 20);
}

TEST(Load, GroupCommitIsWrittenByPwriteUnlessTheFileSaysOtherwise) {
  const auto written_by = [](const std::string& keys) {
    return load_text("streams: {main: {" + keys + "}}").config->streams.at(0).store.write;
  };
  EXPECT_EQ(written_by("durability: {mode: group}"), append::WriteBy::pwrite);
  EXPECT_EQ(written_by("write: mapping, durability: {mode: group}"), append::WriteBy::mapping);
  EXPECT_EQ(written_by("durability: {mode: interval}"), append::WriteBy::mapping);
}

TEST(Load, DefaultListenersFollowTheRuntimeDirectory) {
  const Loaded loaded = load_text("runtime_directory: /run/other\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.config->find_listener("app")->path, "/run/other/app.sock");
}

TEST(Load, NoListenersAtAllIsAnEmptyList) {
  const Loaded loaded = load_text("listeners: []\n");
  ASSERT_EQ(format_problems(loaded.problems), "");
  EXPECT_TRUE(loaded.config->listeners.empty());
}

TEST(Load, CollectsAllProblemsInTheOrderOfTheFile) {
  const std::string problems = problems_of(
      "stream:\n"
      "  main: {}\n"
      "http: {port: 70000}\n"
      "limits: {record_bytes_max: many}\n");
  EXPECT_EQ(problems,
            "main.yaml:1:1: unknown key 'stream'; did you mean 'streams'?\n"
            "main.yaml:3:14: 'port' must be from 0 to 65535\n"
            "main.yaml:4:28: 'many' is not a size such as 64MiB\n");
}

TEST(Load, RefusesAnEmptyFile) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "--- ~\n", "null\n"}) {
    EXPECT_EQ(problems_of(text), "main.yaml:1:1: the file is empty\n") << text;
  }
}

TEST(Load, RefusesAMissingFileUnlessDefaultsAreMeant) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("fastlogd.yaml");
  EXPECT_EQ(check(path), path + ":1:1: cannot be opened: No such file or directory\n");
  const Loaded loaded = load(path, MissingFile::defaults);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(*loaded.config, default_config());
}

TEST(Load, RefusesWhatIsNoRegularFile) {
  const TemporaryDirectory directory;
  EXPECT_THAT(check(directory.path()), HasSubstr("is not a regular file"));
}

TEST(Load, RefusesAnOversizedFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("fastlogd.yaml", std::string(kFileBytesMax + 1, '#'));
  EXPECT_EQ(check(path), path + ":1:1: is larger than 1048576 bytes\n");
}

TEST(Load, EqualBytesGiveEqualSources) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("fastlogd.yaml", "http: {port: 1}\n");
  const Sources first = load(path).sources;
  directory.replace("fastlogd.yaml", "http: {port: 1}\n");
  EXPECT_EQ(read_sources(path), first);
  directory.write("conf.d/a.yaml", "http: {port: 1}\n");
  EXPECT_NE(read_sources(path), first);
}

TEST(DropIns, AddStreamsAndListenersAndOverrideKeys) {
  const Loaded loaded = load_text(
      "streams: {main: {directory: /a, text: {path: /t.log, keep: 3}}}\n"
      "listeners: [{name: app, transport: unix-stream, path: /a.sock}]\n"
      "http: {port: 1}\n",
      "streams:\n"
      "  main: {text: {keep: 4}}\n"
      "  audit: {directory: /b}\n"
      "listeners:\n"
      "  - {name: app, mode: \"0600\"}\n"
      "  - {name: more, transport: unix-datagram, path: /b.sock, stream: audit}\n"
      "http: {port: 2}\n");
  ASSERT_EQ(format_problems(loaded.problems), "");
  const Config& config = *loaded.config;
  EXPECT_EQ(config.streams.size(), 2U);
  EXPECT_EQ(config.find_stream("main")->text, (follow::TextFileOptions{"/t.log", 100 << 20, 4}));
  EXPECT_EQ(config.listeners.size(), 2U);
  EXPECT_EQ(config.find_listener("app")->mode, 0600U);
  EXPECT_EQ(config.find_listener("app")->path, "/a.sock");
  EXPECT_EQ(config.http.port, 2);
}

TEST(DropIns, AddToWhatHoldsWhereTheMainFileSaysNothing) {
  const Loaded loaded =
      load_text("runtime_directory: /run/x\n",
                "streams:\n"
                "  audit: {directory: /audit}\n"
                "listeners:\n"
                "  - {name: app, mode: \"0600\"}\n"
                "  - {name: tcp, transport: tcp, address: 127.0.0.1, port: 5140, stream: main}\n");
  ASSERT_EQ(format_problems(loaded.problems), "");
  const Config& config = *loaded.config;
  EXPECT_EQ(config.streams.size(), 2U);
  EXPECT_EQ(*config.find_stream("main"), default_stream());
  EXPECT_EQ(config.listeners.size(), 3U);
  auto app = default_listeners("/run/x").front();
  app.mode = 0600;
  EXPECT_EQ(*config.find_listener("app"), app);
  EXPECT_EQ(*config.find_listener("devlog"), default_listeners("/run/x").back());
}

TEST(DropIns, AreReadInTheOrderOfTheirNamesAndLaterOnesWin) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("fastlogd.yaml", "http: {port: 1}\n");
  directory.write("conf.d/20.yaml", "http: {port: 20}\n");
  directory.write("conf.d/10.yaml", "http: {port: 10}\n");
  directory.write("conf.d/.30.yaml.swp", "not: [yaml");
  directory.write("conf.d/.40.yaml", "not: [yaml");
  directory.write("conf.d/README", "not: [yaml");
  const Loaded loaded = load(path);
  ASSERT_EQ(format_problems(loaded.problems), "");
  EXPECT_EQ(loaded.config->http.port, 20);
}

TEST(DropIns, ProblemsNameTheFileThatSaidIt) {
  EXPECT_EQ(problems_of("http: {port: 1}\n", "http: {port: x}\n"),
            "conf.d/10.yaml:1:14: 'x' is not a whole number\n");
  EXPECT_EQ(problems_of("http: {port: 1}\n", "limits:\n  foo: 1\n"),
            "conf.d/10.yaml:2:3: unknown key 'limits.foo'; known here: record_bytes_max, connections_max, "
            "shared_rings_max, shared_bytes_max\n");
}

TEST(DropIns, BrokenOnesRefuseTheWhole) {
  EXPECT_THAT(problems_of("http: {port: 1}\n", "http: {port: 1\n"), HasSubstr("conf.d/10.yaml:"));
  EXPECT_EQ(problems_of("http: {port: 1}\n", "# nothing\n"), "conf.d/10.yaml:1:1: the file is empty\n");
}

TEST(DropIns, TooManyAreRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("fastlogd.yaml", "http: {port: 1}\n");
  for (std::size_t i = 0; i <= kDropInsMax; ++i) {
    directory.write("conf.d/" + std::to_string(i) + ".yaml", "http: {port: 1}\n");
  }
  EXPECT_THAT(check(path), HasSubstr("holds more than 64 drop-ins"));
}

std::string runtime_directory_in(std::string_view text, std::string_view drop_in = {}) {
  return readable_runtime_directory(load_text(text, drop_in).sources);
}

TEST(RuntimeDirectory, IsReadPastMistakesAndUpToABreakInTheSyntax) {
  EXPECT_EQ(runtime_directory_in("runtime_directory: /r/\nstrems: {}\n"), "/r");
  EXPECT_EQ(runtime_directory_in("runtime_directory: /r\nstreams:\n  main: {segment_bytes: 3}\n"), "/r");
  EXPECT_EQ(runtime_directory_in("runtime_directory: /r\nstreams:\n  main: {directory: [\n"), "/r");
  EXPECT_EQ(runtime_directory_in("runtime_directory: /r\nstreams:\n\tmain: {}\n"), "/r");
  EXPECT_EQ(runtime_directory_in("runtime_directory: /r\n", "runtime_directory: /s\nhttp: ["), "/s");
}

TEST(RuntimeDirectory, IsTheDefaultWhereNoneCanBeRead) {
  const std::string preset = daemon::DaemonOptions{}.runtime_directory;
  for (const char* text :
       {"", "[]", "streams: [\nruntime_directory: /r\n", "runtime_directory: r\n",
        "runtime_directory: {a: b}\n", "{runtime_directory: /r, streams: {", "{{a: b}: c, [d"}) {
    EXPECT_EQ(runtime_directory_in(text), preset) << text;
  }
}

}  // namespace
}  // namespace fastlogd::config
