#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/limits.hpp"

namespace fastlogd::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kNameBytesMax = 32;
constexpr std::uint64_t kRingBytesMax = limits::kGiB;
constexpr unsigned kConnectionsMax = 1'000'000;
constexpr unsigned kRotatedFilesMax = 1000;

template <class E, std::size_t N>
using WordTable = std::array<std::pair<std::string_view, E>, N>;

constexpr WordTable<append::DurabilityMode, 4> kDurabilityModes{
    {{"none", append::DurabilityMode::none},
     {"interval", append::DurabilityMode::interval},
     {"group", append::DurabilityMode::group},
     {"dax", append::DurabilityMode::dax}}};
constexpr WordTable<append::OnSyncFailure, 2> kOnSyncFailure{
    {{"fail-over", append::OnSyncFailure::fail_over}, {"stop", append::OnSyncFailure::stop}}};
constexpr WordTable<std::int8_t, 9> kSyncSeverities{{{"none", append::Durability::kNoSeverity},
                                                     {"emerg", 0},
                                                     {"alert", 1},
                                                     {"crit", 2},
                                                     {"err", 3},
                                                     {"warning", 4},
                                                     {"notice", 5},
                                                     {"info", 6},
                                                     {"debug", 7}}};
constexpr WordTable<append::WriteBy, 3> kWriteBy{{{"mapping", append::WriteBy::mapping},
                                                  {"small-pages", append::WriteBy::small_pages},
                                                  {"pwrite", append::WriteBy::pwrite}}};
constexpr WordTable<append::WhenFull, 3> kWhenFull{{{"delete-oldest", append::WhenFull::delete_oldest},
                                                    {"block", append::WhenFull::block},
                                                    {"drop-newest", append::WhenFull::drop_newest}}};
constexpr WordTable<ingest::ListenerTransport, 4> kTransports{
    {{"unix-stream", ingest::ListenerTransport::unix_stream},
     {"unix-datagram", ingest::ListenerTransport::unix_datagram},
     {"tcp", ingest::ListenerTransport::tcp},
     {"udp", ingest::ListenerTransport::udp}}};
constexpr WordTable<ingest::ListenerFraming, 3> kFramings{
    {{"auto", ingest::ListenerFraming::automatic},
     {"lines", ingest::ListenerFraming::lines},
     {"octet-counting", ingest::ListenerFraming::octet_counting}}};
constexpr WordTable<ingest::ListenerFormat, 3> kFormats{{{"auto", ingest::ListenerFormat::automatic},
                                                         {"syslog", ingest::ListenerFormat::syslog},
                                                         {"raw", ingest::ListenerFormat::raw}}};
constexpr WordTable<diag::Level, 4> kLevels{{{"debug", diag::Level::debug},
                                             {"info", diag::Level::info},
                                             {"warning", diag::Level::warning},
                                             {"error", diag::Level::error}}};
constexpr WordTable<daemon::ProfilingAccess, 3> kProfiling{{{"off", daemon::ProfilingAccess::off},
                                                            {"control", daemon::ProfilingAccess::control},
                                                            {"http", daemon::ProfilingAccess::http}}};

bool is_unix(ingest::ListenerTransport transport) {
  return transport == ingest::ListenerTransport::unix_stream ||
         transport == ingest::ListenerTransport::unix_datagram;
}

void read_durability(const Node& node, std::string path, append::Durability& into, ReadLog& log) {
  Section section(node, std::move(path), log);
  section.word<append::DurabilityMode>("mode", into.mode, kDurabilityModes);
  section.duration("interval", into.interval, milliseconds(1), hours(1));
  section.duration("group_window", into.group_window, milliseconds(0), milliseconds(100));
  section.word<std::int8_t>("sync_severity", into.sync_severity, kSyncSeverities);
  section.word<append::OnSyncFailure>("on_failure", into.on_failure, kOnSyncFailure);
  section.finish();
}

void read_retention(const Node& node, std::string path, append::Retention& into, ReadLog& log) {
  Section section(node, std::move(path), log);
  section.bytes_or_zero("bytes_max", into.bytes_max, 3 * limits::kSegmentBytesMin);
  section.duration_or_zero("age_max", into.age_max, seconds(1));
  section.bytes_or_zero("keep_free", into.keep_free, 1);
  section.finish();
}

void read_text_file(const Node& node, std::string path, std::optional<follow::TextFileOptions>& into,
                    ReadLog& log) {
  follow::TextFileOptions text;
  Section section(node, std::move(path), log);
  section.path("path", text.path);
  section.bytes_or_zero("rotate_bytes", text.rotate_bytes, 4 * limits::kKiB);
  section.number("keep", text.keep, 0, kRotatedFilesMax);
  section.not_yet({"format", "compress", "owner", "group", "mode"});
  if (node.kind == Node::Kind::mapping && node.find("path") == nullptr) {
    section.complain("path", fmt::format("'{}' needs a path", section.path_of("path")));
  }
  section.finish();
  into = std::move(text);
}

StreamConfig read_stream(const Node& node, std::string_view name, std::string path, ReadLog& log) {
  StreamConfig stream;
  stream.store.name = name;
  stream.store.directory = default_stream_directory(name);
  Section section(node, std::move(path), log);
  section.path("directory", stream.store.directory);
  section.bytes_power_of_two("segment_bytes", stream.store.segment_bytes, limits::kSegmentBytesMin,
                             limits::kSegmentBytesMax);
  if (const Node* durability = section.find("durability")) {
    read_durability(*durability, section.path_of("durability"), stream.store.durability, log);
  }
  // Where everybody waits for syncs a mapping is several times slower: a sync looks for what was stored in all its pages.
  if (stream.store.durability.mode == append::DurabilityMode::group)
    stream.store.write = append::WriteBy::pwrite;
  section.word<append::WriteBy>("write", stream.store.write, kWriteBy);
  if (const Node* retention = section.find("retention")) {
    read_retention(*retention, section.path_of("retention"), stream.store.retention, log);
  }
  section.word<append::WhenFull>("when_full", stream.store.when_full, kWhenFull);
  if (const Node* text = section.find("text")) {
    read_text_file(*text, section.path_of("text"), stream.text, log);
  }
  section.not_yet({"index", "compression", "encryption", "forward", "replicas", "quota"});
  section.finish();
  return stream;
}

void read_streams(const Node& node, Config& config, ReadLog& log) {
  Section section(node, "streams", log);
  for (const Entry& entry : node.entries) {
    section.find(entry.key);
    if (!is_valid_name(entry.key)) {
      log.complain(entry.at,
                   fmt::format("'{}' is no name for a stream: 1 to {} of a-z 0-9 _ -, not beginning "
                               "with _ or -",
                               entry.key, kNameBytesMax));
      continue;
    }
    config.streams.push_back(read_stream(entry.value, entry.key, section.path_of(entry.key), log));
  }
  if (node.kind == Node::Kind::mapping && node.entries.empty()) {
    log.complain(node.at, "'streams' is empty; there must be at least one");
  }
  if (config.streams.size() > limits::kStreamsMax) {
    log.complain(node.at, fmt::format("{} streams are more than the {} supported", config.streams.size(),
                                      limits::kStreamsMax));
  }
}

/// Keys that the transport gives no meaning, and those it can't do without.
void check_listener_keys(Section& section, const ingest::ListenerOptions& listener) {
  const auto refuse = [&](std::string_view key, std::string_view belongs_to) {
    if (section.node().find(key) != nullptr) {
      section.complain(key, fmt::format("'{}' has no meaning here; it belongs to {}", key, belongs_to));
    }
  };
  const auto need = [&](std::string_view key) {
    if (section.node().find(key) == nullptr)
      section.complain(key, fmt::format("the listener needs '{}'", key));
  };
  if (is_unix(listener.transport)) {
    need("path");
    refuse("address", "tcp and udp");
    refuse("port", "tcp and udp");
  } else {
    need("address");
    need("port");
    refuse("path", "unix-stream and unix-datagram");
    refuse("mode", "unix-stream and unix-datagram");
  }
  const bool datagrams = listener.transport == ingest::ListenerTransport::unix_datagram ||
                         listener.transport == ingest::ListenerTransport::udp;
  if (datagrams) refuse("framing", "unix-stream and tcp; a datagram is one message");
}

ingest::ListenerOptions read_listener(const Node& node, std::string path, ReadLog& log) {
  ingest::ListenerOptions listener;
  Section section(node, std::move(path), log);
  section.text("name", listener.name);
  const bool transport_known =
      section.word<ingest::ListenerTransport>("transport", listener.transport, kTransports,
                                              {"tls", "native", "shared-memory", "journald", "fluent",
                                               "fluent-forward", "gelf", "otlp", "otlp-http"});
  section.path("path", listener.path);
  section.file_mode("mode", listener.mode);
  section.address("address", listener.address);
  section.port("port", listener.port);
  section.text("stream", listener.stream);
  section.word<ingest::ListenerFraming>("framing", listener.framing, kFramings);
  section.word<ingest::ListenerFormat>("format", listener.format, kFormats,
                                       {"native", "journald", "gelf", "fluent", "otlp", "json"});
  section.not_yet({"tls", "acknowledge", "credentials", "rate_limit", "proxy_protocol", "multicast",
                   "interface", "owner", "group"});
  if (node.kind == Node::Kind::mapping && node.find("transport") == nullptr) {
    section.complain("transport", "the listener needs 'transport'");
  } else if (transport_known) {
    check_listener_keys(section, listener);
  }
  section.finish();
  return listener;
}

/// "listeners.app", or "listeners[3]" while the third one's name is missing or bad.
std::string listener_path(const Node& node, std::size_t index) {
  const Entry* name = node.find("name");
  const bool named = name != nullptr && is_valid_name(name->value.text);
  return named ? "listeners." + name->value.text : fmt::format("listeners[{}]", index + 1);
}

void read_listeners(const Node& node, Config& config, ReadLog& log) {
  if (node.kind != Node::Kind::sequence) {
    log.complain(node.at,
                 fmt::format("'listeners' must be a list, not {}; write [] for none", kind_name(node)));
    return;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Node& item = node.items[i];
    const std::string path = listener_path(item, i);
    log.remember(path, item.at);
    ingest::ListenerOptions listener = read_listener(item, path, log);
    if (item.kind != Node::Kind::mapping) continue;
    if (item.find("name") == nullptr) {
      log.complain(item.at, "the listener needs 'name'");
    } else if (!is_valid_name(listener.name)) {
      log.complain(
          log.position_of(path + ".name"),
          fmt::format("'{}' is no name for a listener: 1 to {} of a-z 0-9 _ -, not beginning with _ or -",
                      listener.name, kNameBytesMax));
    } else if (!names.insert(listener.name).second) {
      log.complain(log.position_of(path + ".name"),
                   fmt::format("two listeners are named '{}'", listener.name));
    }
    config.listeners.push_back(std::move(listener));
  }
  if (config.listeners.size() > limits::kListenersMax) {
    log.complain(node.at, fmt::format("{} listeners are more than the {} supported", config.listeners.size(),
                                      limits::kListenersMax));
  }
}

void read_http(const Node& node, http::HttpOptions& into, ReadLog& log) {
  Section section(node, "http", log);
  section.boolean("enabled", into.enabled);
  section.address("address", into.address);
  section.port("port", into.port);
  section.not_yet({"tls", "tokens", "page", "api"});
  section.finish();
}

void read_limits(const Node& node, ingest::LimitOptions& into, ReadLog& log) {
  Section section(node, "limits", log);
  std::uint64_t record_bytes_max = into.record_bytes_max;
  section.bytes("record_bytes_max", record_bytes_max, limits::kRecordBytesMin, limits::kRecordBytesMax);
  into.record_bytes_max = record_bytes_max;
  section.number("connections_max", into.connections_max, 1, kConnectionsMax);
  section.number("shared_rings_max", into.shared_rings_max, 0, kConnectionsMax);
  std::uint64_t shared_bytes_max = into.shared_bytes_max;
  section.bytes("shared_bytes_max", shared_bytes_max, limits::kMiB, limits::kGiB * 1024);
  into.shared_bytes_max = shared_bytes_max;
  section.not_yet({"rate", "records_per_second", "bytes_per_second"});
  section.finish();
}

void read_io(const Node& node, ingest::IoOptions& into, ReadLog& log) {
  Section section(node, "io", log);
  section.number("threads", into.threads, 0, limits::kIoThreadsMax);
  std::uint64_t ring_bytes = into.ring_bytes;
  section.bytes_power_of_two("ring_bytes", ring_bytes, limits::kRingBytesMin, kRingBytesMax);
  into.ring_bytes = ring_bytes;
  section.finish();
}

void read_diagnostics(const Node& node, daemon::DiagnosticsOptions& into, ReadLog& log) {
  Section section(node, "diagnostics", log);
  section.word<diag::Level>("level", into.level, kLevels);
  section.word<daemon::ProfilingAccess>("profiling", into.profiling, kProfiling);
  section.finish();
}

}  // namespace

bool is_valid_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kNameBytesMax && plain(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return plain(c) || c == '_' || c == '-'; });
}

Config read_config(const Node& root, ReadLog& log) {
  Config config;
  Section section(root, "", log);
  section.path("runtime_directory", config.daemon.runtime_directory);
  if (const Node* streams = section.find("streams")) {
    read_streams(*streams, config, log);
  } else {
    config.streams.push_back(default_stream());
  }
  if (const Node* listeners = section.find("listeners")) {
    read_listeners(*listeners, config, log);
  } else {
    config.listeners = default_listeners(config.daemon.runtime_directory);
  }
  if (const Node* node = section.find("http")) read_http(*node, config.http, log);
  if (const Node* node = section.find("limits")) read_limits(*node, config.limits, log);
  if (const Node* node = section.find("io")) read_io(*node, config.io, log);
  if (const Node* node = section.find("diagnostics")) read_diagnostics(*node, config.daemon.diagnostics, log);
  section.not_yet({"tls", "forward", "forwarders", "shared_memory", "native", "api", "tokens"});
  section.finish();
  sort_by_name(config);
  return config;
}

}  // namespace fastlogd::config
