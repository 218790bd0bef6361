#include "config/conflicts.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/units.hpp"

namespace fastlogd::config {
namespace {

using ingest::ListenerOptions;
using ingest::ListenerTransport;

constexpr std::size_t kSocketPathBytesMax =
    sizeof(sockaddr_un::sun_path) - 1;  // unix(7): room for the final NUL

/// Paths are absolute and normalised.
bool is_inside(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

/// Whether `path` is what a rotation of `text` renames it to: "x.log.3".
bool is_rotation_of(std::string_view path, std::string_view text) {
  if (path.size() < text.size() + 2 || !path.starts_with(text) || path[text.size()] != '.') return false;
  const std::string_view suffix = path.substr(text.size() + 1);
  return std::ranges::all_of(suffix, [](char c) { return c >= '0' && c <= '9'; });
}

/// "::", however it is written.
bool is_any_ipv6(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, text.c_str(), &address) == 1 && IN6_IS_ADDR_UNSPECIFIED(&address);
}

class Finder {
 public:
  explicit Finder(const Config& config) : config_(config) {}

  std::vector<Conflict> run() {
    for (std::size_t i = 0; i < config_.streams.size(); ++i) check_stream(i);
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) check_listener(i);
    check_socket_path("runtime_directory", control_socket());
    return std::move(found_);
  }

 private:
  void add(std::string path, std::string message) { found_.push_back({std::move(path), std::move(message)}); }

  [[nodiscard]] std::string control_socket() const {
    return config_.daemon.runtime_directory + "/control.sock";
  }

  void check_stream(std::size_t index) {
    const append::StreamOptions& store = config_.streams[index].store;
    const std::string path = "streams." + store.name;
    for (std::size_t i = 0; i < index; ++i) {
      const append::StreamOptions& other = config_.streams[i].store;
      if (store.directory == other.directory) {
        add(path + ".directory",
            fmt::format("stream '{}' has the same directory {}", other.name, other.directory));
      } else if (is_inside(store.directory, other.directory) || is_inside(other.directory, store.directory)) {
        add(path + ".directory", fmt::format("{} and stream '{}' at {} lie inside one another",
                                             store.directory, other.name, other.directory));
      }
    }
    if (store.retention.bytes_max != 0 && store.retention.bytes_max < 3 * store.segment_bytes) {
      add(path + ".retention.bytes_max",
          fmt::format(
              "{} is less than three segments of {}: the one being written, the next, and one to keep",
              format_bytes(store.retention.bytes_max), format_bytes(store.segment_bytes)));
    }
    if (config_.streams[index].text) check_text_file(index, path + ".text.path");
  }

  void check_text_file(std::size_t index, const std::string& key) {
    const std::string& text = config_.streams[index].text->path;
    for (std::size_t i = 0; i < config_.streams.size(); ++i) {
      const StreamConfig& other = config_.streams[i];
      if (text == other.store.directory || is_inside(text, other.store.directory)) {
        add(key, fmt::format("{} lies in the segment directory of stream '{}'; only segments may be there",
                             text, other.store.name));
      }
      if (i == index || !other.text) continue;
      if (i < index && text == other.text->path) {
        add(key, fmt::format("stream '{}' writes the same text file", other.store.name));
      }
      if (is_rotation_of(text, other.text->path)) {
        add(key,
            fmt::format("{} is a name that stream '{}' rotates its text file to", text, other.store.name));
      }
    }
  }

  void check_listener(std::size_t index) {
    const ListenerOptions& listener = config_.listeners[index];
    const std::string path = "listeners." + listener.name;
    if (config_.find_stream(listener.stream) == nullptr) {
      add(path + ".stream", fmt::format("there is no stream '{}'", listener.stream));
    }
    const bool is_unix = listener.transport == ListenerTransport::unix_stream ||
                         listener.transport == ListenerTransport::unix_datagram;
    if (is_unix) {
      check_unix_listener(index, path + ".path");
    } else {
      check_net_listener(index, path + ".port");
    }
  }

  void check_unix_listener(std::size_t index, const std::string& key) {
    const ListenerOptions& listener = config_.listeners[index];
    if (listener.path.empty()) return;
    check_socket_path(key, listener.path);
    if (listener.path == control_socket()) add(key, fmt::format("{} is the control socket", listener.path));
    for (std::size_t i = 0; i < index; ++i) {
      const ListenerOptions& other = config_.listeners[i];
      if (other.path == listener.path) {
        add(key, fmt::format("listener '{}' has the same path {}", other.name, other.path));
      }
    }
    for (const StreamConfig& stream : config_.streams) {
      if (is_inside(listener.path, stream.store.directory)) {
        add(key,
            fmt::format("{} lies in the segment directory of stream '{}'", listener.path, stream.store.name));
      }
      if (stream.text && stream.text->path == listener.path) {
        add(key, fmt::format("{} is the text file of stream '{}'", listener.path, stream.store.name));
      }
    }
  }

  void check_net_listener(std::size_t index, const std::string& key) {
    const ListenerOptions& listener = config_.listeners[index];
    if (listener.port == 0) return;
    for (std::size_t i = 0; i < index; ++i) {
      const ListenerOptions& other = config_.listeners[i];
      if (other.transport == listener.transport && other.port == listener.port &&
          overlap(other.address, listener.address)) {
        add(key, fmt::format("listener '{}' has the same address {} port {}", other.name, other.address,
                             other.port));
      }
    }
    const http::HttpOptions& http = config_.http;
    if (http.enabled && listener.transport == ListenerTransport::tcp && http.port == listener.port &&
        overlap(http.address, listener.address)) {
      add(key, fmt::format("http has the same address {} port {}", http.address, http.port));
    }
  }

  /// ip(7), ipv6(7): a socket bound to the wildcard takes the port of every address of its family; that of IPv6 takes
  /// IPv4's, too, unless the system says otherwise (net.ipv6.bindv6only).
  static bool overlap(const std::string& a, const std::string& b) {
    if (a == b || is_any_ipv6(a) || is_any_ipv6(b)) return true;
    const auto is_ipv4 = [](const std::string& text) { return text.find(':') == std::string::npos; };
    return is_ipv4(a) && is_ipv4(b) && (a == "0.0.0.0" || b == "0.0.0.0");
  }

  void check_socket_path(const std::string& key, const std::string& path) {
    if (path.size() <= kSocketPathBytesMax) return;
    add(key, fmt::format("the socket path {} has {} bytes; the kernel takes {}", path, path.size(),
                         kSocketPathBytesMax));
  }

  const Config& config_;
  std::vector<Conflict> found_;
};

}  // namespace

std::vector<Conflict> find_conflicts(const Config& config) {
  return Finder(config).run();
}

}  // namespace fastlogd::config
