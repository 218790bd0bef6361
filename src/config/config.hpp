// The whole configuration as one value. Immutable once it is published as shared_ptr<const Config>.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "append/stream_options.hpp"
#include "daemon/daemon_options.hpp"
#include "follow/text_file_options.hpp"
#include "http/http_options.hpp"
#include "ingest/ingest_options.hpp"

namespace fastlogd::config {

/// Where fastlogd and fastlogctl look when nobody says --config.
inline constexpr const char* kDefaultConfigPath = "/etc/fastlogd/fastlogd.yaml";

/// One stream: its store and, if it keeps one, its text file.
struct StreamConfig {
  append::StreamOptions store;
  std::optional<follow::TextFileOptions> text;
  friend bool operator==(const StreamConfig&, const StreamConfig&) = default;
};

/// Streams and listeners are sorted by name: their order in the file means nothing.
struct Config {
  daemon::DaemonOptions daemon;
  ingest::IoOptions io;
  ingest::LimitOptions limits;
  http::HttpOptions http;
  std::vector<StreamConfig> streams;
  std::vector<ingest::ListenerOptions> listeners;
  friend bool operator==(const Config&, const Config&) = default;

  /// nullptr when there is none of that name.
  [[nodiscard]] const StreamConfig* find_stream(std::string_view name) const;
  [[nodiscard]] const ingest::ListenerOptions* find_listener(std::string_view name) const;
};

/// What no file at all means: stream main with a text file, listeners app and devlog, http.
[[nodiscard]] Config default_config();

/// The stream and listeners a file gets that has no `streams` or `listeners` key.
[[nodiscard]] StreamConfig default_stream();
[[nodiscard]] std::vector<ingest::ListenerOptions> default_listeners(std::string_view runtime_directory);

/// Where a stream's segments go unless `directory` says otherwise.
[[nodiscard]] std::string default_stream_directory(std::string_view stream);

/// Restores the order by name after streams or listeners were added.
void sort_by_name(Config& config);

}  // namespace fastlogd::config
