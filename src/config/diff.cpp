#include "config/diff.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace fastlogd::config {
namespace {

using Flat = std::map<std::string, std::string>;

/// Exact, unlike format_bytes: the largest unit that divides the value.
std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

/// Exact, unlike format_duration.
std::string duration_text(std::chrono::nanoseconds duration) {
  struct Unit {
    std::int64_t factor;
    const char* name;
  };
  static constexpr std::array kUnits{Unit{1000, "us"}, Unit{1000, "ms"}, Unit{1000, "s"},
                                     Unit{60, "m"},    Unit{60, "h"},    Unit{24, "d"}};
  std::int64_t count = duration.count();
  if (count == 0) return "0";
  const char* name = "ns";
  for (const Unit& unit : kUnits) {
    if (count % unit.factor != 0) break;
    count /= unit.factor;
    name = unit.name;
  }
  return fmt::format("{}{}", count, name);
}

template <class E, std::size_t N>
std::string word(E value, const std::array<const char*, N>& names) {
  return names.at(static_cast<std::size_t>(value));
}

constexpr std::array kTransportNames{"unix-stream", "unix-datagram", "tcp", "udp"};
constexpr std::array kFramingNames{"auto", "lines", "octet-counting"};
constexpr std::array kFormatNames{"auto", "syslog", "raw"};
constexpr std::array kModeNames{"none", "interval", "group", "dax"};
constexpr std::array kOnFailureNames{"fail-over", "stop"};
constexpr std::array kSeverityNames{"none",    "emerg",  "alert", "crit", "err",
                                    "warning", "notice", "info",  "debug"};
constexpr std::array kWriteNames{"mapping", "small-pages", "pwrite"};
constexpr std::array kWhenFullNames{"delete-oldest", "block", "drop-newest"};
constexpr std::array kLevelNames{"debug", "info", "warning", "error"};
constexpr std::array kProfilingNames{"off", "control", "http"};

// The structured bindings name every member: a member added to a struct does not compile until it is shown
// here.

void add_text_file(Flat& flat, const std::string& prefix, const follow::TextFileOptions& text) {
  const auto& [path, rotate_bytes, keep] = text;
  flat[prefix + ".path"] = path;
  flat[prefix + ".rotate_bytes"] = bytes_text(rotate_bytes);
  flat[prefix + ".keep"] = std::to_string(keep);
}

void add_stream(Flat& flat, const StreamConfig& stream) {
  const auto& [store, text] = stream;
  const auto& [name, directory, segment_bytes, durability, write, retention, when_full] = store;
  const auto& [mode, interval, group_window, sync_severity, on_failure] = durability;
  const auto& [bytes_max, age_max, keep_free] = retention;
  const std::string prefix = "streams." + name;
  flat[prefix + ".directory"] = directory;
  flat[prefix + ".segment_bytes"] = bytes_text(segment_bytes);
  flat[prefix + ".durability.mode"] = word(mode, kModeNames);
  flat[prefix + ".durability.interval"] = duration_text(interval);
  flat[prefix + ".durability.group_window"] = duration_text(group_window);
  flat[prefix + ".durability.sync_severity"] = word(sync_severity + 1, kSeverityNames);
  flat[prefix + ".durability.on_failure"] = word(on_failure, kOnFailureNames);
  flat[prefix + ".write"] = word(write, kWriteNames);
  flat[prefix + ".retention.bytes_max"] = bytes_text(bytes_max);
  flat[prefix + ".retention.age_max"] = duration_text(age_max);
  flat[prefix + ".retention.keep_free"] = bytes_text(keep_free);
  flat[prefix + ".when_full"] = word(when_full, kWhenFullNames);
  if (text) add_text_file(flat, prefix + ".text", *text);
}

void add_listener(Flat& flat, const ingest::ListenerOptions& listener) {
  const auto& [name, transport, path, mode, address, port, stream, framing, format] = listener;
  const std::string prefix = "listeners." + name;
  flat[prefix + ".transport"] = word(transport, kTransportNames);
  flat[prefix + ".path"] = path;
  flat[prefix + ".mode"] = fmt::format("{:04o}", mode);
  flat[prefix + ".address"] = address;
  flat[prefix + ".port"] = std::to_string(port);
  flat[prefix + ".stream"] = stream;
  flat[prefix + ".framing"] = word(framing, kFramingNames);
  flat[prefix + ".format"] = word(format, kFormatNames);
}

Flat flat_map(const Config& config) {
  Flat flat;
  const auto& [daemon, io, limits, http, streams, listeners] = config;
  const auto& [runtime_directory, diagnostics] = daemon;
  const auto& [level, profiling] = diagnostics;
  const auto& [threads, ring_bytes] = io;
  const auto& [record_bytes_max, connections_max, shared_rings_max, shared_bytes_max] = limits;
  const auto& [enabled, address, port] = http;
  flat["runtime_directory"] = runtime_directory;
  flat["diagnostics.level"] = word(level, kLevelNames);
  flat["diagnostics.profiling"] = word(profiling, kProfilingNames);
  flat["io.threads"] = std::to_string(threads);
  flat["io.ring_bytes"] = bytes_text(ring_bytes);
  flat["limits.record_bytes_max"] = bytes_text(record_bytes_max);
  flat["limits.connections_max"] = std::to_string(connections_max);
  flat["limits.shared_rings_max"] = std::to_string(shared_rings_max);
  flat["limits.shared_bytes_max"] = bytes_text(shared_bytes_max);
  flat["http.enabled"] = enabled ? "true" : "false";
  flat["http.address"] = address;
  flat["http.port"] = std::to_string(port);
  for (const StreamConfig& stream : streams) add_stream(flat, stream);
  for (const ingest::ListenerOptions& listener : listeners) add_listener(flat, listener);
  return flat;
}

std::string describe(const StreamConfig& stream) {
  return stream.store.directory;
}

std::string describe(const ingest::ListenerOptions& listener) {
  const std::string transport = word(listener.transport, kTransportNames);
  const std::string at =
      listener.path.empty() ? fmt::format("{} port {}", listener.address, listener.port) : listener.path;
  return fmt::format("{} {} to stream {}", transport, at, listener.stream);
}

Applies applies_to(std::string_view path) {
  const auto within = [&](std::string_view section) { return path.starts_with(section); };
  if (path == "runtime_directory" || within("http.") || within("io.")) return Applies::needs_restart;
  const bool fixed_in_stream = path.ends_with(".directory") || path.ends_with(".segment_bytes") ||
                               path.ends_with(".durability.mode") || path.ends_with(".write");
  return within("streams.") && fixed_in_stream ? Applies::needs_restart : Applies::live;
}

/// Whether the whole stream or listener that `path` belongs to is named in `wholes`.
bool covered(std::string_view path, const std::vector<Change>& wholes) {
  return std::ranges::any_of(wholes, [&](const Change& whole) {
    return path.size() > whole.path.size() && path.starts_with(whole.path) && path[whole.path.size()] == '.';
  });
}

/// Streams and listeners that came or went, as one change each.
std::vector<Change> whole_changes(const Config& from, const Config& to) {
  std::vector<Change> changes;
  for (const StreamConfig& stream : from.streams) {
    if (to.find_stream(stream.store.name) != nullptr) continue;
    changes.push_back({"streams." + stream.store.name, describe(stream), "", Applies::needs_restart});
  }
  for (const StreamConfig& stream : to.streams) {
    if (from.find_stream(stream.store.name) != nullptr) continue;
    changes.push_back({"streams." + stream.store.name, "", describe(stream), Applies::needs_restart});
  }
  for (const ingest::ListenerOptions& listener : from.listeners) {
    if (to.find_listener(listener.name) != nullptr) continue;
    changes.push_back({"listeners." + listener.name, describe(listener), "", Applies::live});
  }
  for (const ingest::ListenerOptions& listener : to.listeners) {
    if (from.find_listener(listener.name) != nullptr) continue;
    const bool runs = from.find_stream(listener.stream) != nullptr;
    changes.push_back({"listeners." + listener.name, "", describe(listener),
                       runs ? Applies::live : Applies::needs_restart});
  }
  for (const StreamConfig& stream : to.streams) {
    const StreamConfig* before = from.find_stream(stream.store.name);
    if (before == nullptr || before->text.has_value() == stream.text.has_value()) continue;
    changes.push_back({"streams." + stream.store.name + ".text", before->text ? before->text->path : "",
                       stream.text ? stream.text->path : "", Applies::live});
  }
  return changes;
}

/// A listener is one thing: while its new stream doesn't run, none of its keys change.
bool waits_for_stream(std::string_view path, const Config& from, const Config& to) {
  return std::ranges::any_of(to.listeners, [&](const ingest::ListenerOptions& listener) {
    return path.starts_with("listeners." + listener.name + ".") &&
           from.find_stream(listener.stream) == nullptr;
  });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> flatten(const Config& config) {
  const Flat flat = flat_map(config);
  return {flat.begin(), flat.end()};
}

std::vector<Change> diff(const Config& from, const Config& to) {
  std::vector<Change> changes = whole_changes(from, to);
  const std::vector<Change> wholes = changes;
  const Flat before = flat_map(from);
  const Flat after = flat_map(to);
  for (const auto& [path, value] : after) {
    const auto old = before.find(path);
    if (old == before.end() || old->second == value || covered(path, wholes)) continue;
    const Applies applies = waits_for_stream(path, from, to) ? Applies::needs_restart : applies_to(path);
    changes.push_back({path, old->second, value, applies});
  }
  std::ranges::sort(changes, {}, &Change::path);
  return changes;
}

std::string format_change(const Change& change) {
  std::string line = change.path + ": ";
  if (change.from.empty()) {
    line += "added " + change.to;
  } else if (change.to.empty()) {
    line += "removed " + change.from;
  } else {
    line += change.from + " -> " + change.to;
  }
  if (change.applies == Applies::needs_restart) line += " (needs a restart)";
  return line;
}

Config merge_live(const Config& running, const Config& wanted) {
  Config next = running;
  next.daemon.diagnostics = wanted.daemon.diagnostics;
  next.limits = wanted.limits;
  for (StreamConfig& stream : next.streams) {
    const StreamConfig* change = wanted.find_stream(stream.store.name);
    if (change == nullptr) continue;
    const append::DurabilityMode mode = stream.store.durability.mode;
    stream.store.durability = change->store.durability;
    stream.store.durability.mode = mode;
    stream.store.retention = change->store.retention;
    stream.store.when_full = change->store.when_full;
    stream.text = change->text;
  }
  next.listeners.clear();
  for (const ingest::ListenerOptions& listener : wanted.listeners) {
    if (running.find_stream(listener.stream) != nullptr) {
      next.listeners.push_back(listener);
    } else if (const ingest::ListenerOptions* before = running.find_listener(listener.name)) {
      next.listeners.push_back(*before);
    }
  }
  return next;
}

}  // namespace fastlogd::config
