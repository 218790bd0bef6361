#include "config/merge.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace fastlogd::config {
namespace {

std::string_view name_of(const Node& listener) {
  if (listener.kind != Node::Kind::mapping) return {};
  const Entry* name = listener.find("name");
  return name != nullptr && name->value.kind == Node::Kind::scalar ? std::string_view(name->value.text)
                                                                   : std::string_view();
}

void merge_mapping(Node& base, Node drop_in) {
  for (Entry& entry : drop_in.entries) {
    Entry* known = base.find(entry.key);
    if (known == nullptr) {
      base.entries.push_back(std::move(entry));
    } else if (known->value.kind == Node::Kind::mapping && entry.value.kind == Node::Kind::mapping) {
      merge_mapping(known->value, std::move(entry.value));
    } else {
      *known = std::move(entry);
    }
  }
}

/// Only the files before this one are looked at: a name given twice in one file is a mistake for the checks
/// to find.
void merge_listeners(Node& base, Node drop_in) {
  const std::size_t known_count = base.items.size();
  for (Node& listener : drop_in.items) {
    const std::string_view name = name_of(listener);
    std::size_t at = 0;
    while (at < known_count && (name.empty() || name_of(base.items[at]) != name)) ++at;
    if (at < known_count) {
      merge_mapping(base.items[at], std::move(listener));
    } else {
      base.items.push_back(std::move(listener));
    }
  }
}

Node scalar(std::string_view text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.quoted = true;
  node.text = text;
  return node;
}

void put(Node& mapping, std::string_view key, Node value) {
  mapping.kind = Node::Kind::mapping;
  mapping.entries.push_back({.key = std::string(key), .at = {}, .value = std::move(value)});
}

Node spelled_out(const StreamConfig& stream) {
  Node text;
  put(text, "path", scalar(stream.text->path));
  Node keys;
  put(keys, "text", std::move(text));
  Node streams;
  put(streams, stream.store.name, std::move(keys));
  return streams;
}

Node spelled_out(const std::vector<ingest::ListenerOptions>& listeners) {
  Node list;
  list.kind = Node::Kind::sequence;
  for (const ingest::ListenerOptions& listener : listeners) {
    const bool stream = listener.transport == ingest::ListenerTransport::unix_stream;
    Node& keys = list.items.emplace_back();
    put(keys, "name", scalar(listener.name));
    put(keys, "transport", scalar(stream ? "unix-stream" : "unix-datagram"));
    put(keys, "path", scalar(listener.path));
  }
  return list;
}

}  // namespace

void spell_out_defaults(Node& main, std::string_view runtime_directory) {
  if (main.find("streams") == nullptr) put(main, "streams", spelled_out(default_stream()));
  if (main.find("listeners") == nullptr)
    put(main, "listeners", spelled_out(default_listeners(runtime_directory)));
}

void merge_document(Node& base, Node drop_in) {
  Entry* known = base.find("listeners");
  Entry* more = drop_in.find("listeners");
  const bool both_lists = known != nullptr && more != nullptr && known->value.kind == Node::Kind::sequence &&
                          more->value.kind == Node::Kind::sequence;
  if (both_lists) {
    merge_listeners(known->value, std::move(more->value));
    std::erase_if(drop_in.entries, [](const Entry& entry) { return entry.key == "listeners"; });
  }
  merge_mapping(base, std::move(drop_in));
}

}  // namespace fastlogd::config
