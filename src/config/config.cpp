#include "config/config.hpp"

#include <algorithm>
#include <string>

namespace fastlogd::config {

const StreamConfig* Config::find_stream(std::string_view name) const {
  const auto at = std::ranges::find(streams, name, [](const StreamConfig& s) { return s.store.name; });
  return at == streams.end() ? nullptr : &*at;
}

const ingest::ListenerOptions* Config::find_listener(std::string_view name) const {
  const auto at = std::ranges::find(listeners, name, &ingest::ListenerOptions::name);
  return at == listeners.end() ? nullptr : &*at;
}

std::string default_stream_directory(std::string_view stream) {
  return "/var/log/fastlogd/" + std::string(stream);
}

StreamConfig default_stream() {
  StreamConfig stream;
  stream.store.name = "main";
  stream.store.directory = default_stream_directory("main");
  stream.text.emplace().path = "/var/log/fastlogd/main.log";
  return stream;
}

std::vector<ingest::ListenerOptions> default_listeners(std::string_view runtime_directory) {
  ingest::ListenerOptions app;
  app.name = "app";
  app.transport = ingest::ListenerTransport::unix_stream;
  app.path = std::string(runtime_directory) + "/app.sock";
  ingest::ListenerOptions devlog;
  devlog.name = "devlog";
  devlog.transport = ingest::ListenerTransport::unix_datagram;
  devlog.path = std::string(runtime_directory) + "/log.sock";
  return {app, devlog};
}

Config default_config() {
  Config config;
  config.streams.push_back(default_stream());
  config.listeners = default_listeners(config.daemon.runtime_directory);
  return config;
}

void sort_by_name(Config& config) {
  std::ranges::sort(config.streams, {}, [](const StreamConfig& s) { return s.store.name; });
  std::ranges::sort(config.listeners, {}, &ingest::ListenerOptions::name);
}

}  // namespace fastlogd::config
