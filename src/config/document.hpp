// YAML text -> a tree that remembers where everything stood. The only file pair that touches yaml-cpp.
//
// yaml-cpp 0.7 is lenient: it keeps the first of two equal keys, turns 012 into ten, follows aliases and
// knows nothing of merge keys. So its event interface is used, which hands over the text of every scalar
// unread; what the daemon does not want (aliases, tags, several documents, keys that are not words) is
// refused here, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastlogd::config {

/// A place in one of the files being read; `line` and `column` count from 1.
struct Position {
  std::uint32_t file = 0;  ///< index into the list of sources
  int line = 1;
  int column = 1;
};

struct Entry;

/// One value. Which of `text`, `items` and `entries` is used depends on `kind`.
struct Node {
  enum class Kind : std::uint8_t { null, scalar, sequence, mapping };

  Kind kind = Kind::null;
  bool quoted = false;  ///< scalar: written in quotes, so never a number or a truth value
  Position at;
  std::string text;            ///< scalar: its characters, unread
  std::vector<Node> items;     ///< sequence
  std::vector<Entry> entries;  ///< mapping, in file order, keys distinct

  [[nodiscard]] const Entry* find(std::string_view key) const;
  [[nodiscard]] Entry* find(std::string_view key);
};

struct Entry {
  std::string key;
  Position at;  ///< of the key
  Node value;
};

struct Complaint {
  Position at;
  std::string message;
};

/// The tree, when there is one, and everything found wrong on the way. A tree with complaints may be read on,
/// to find more, but not used.
struct Document {
  std::optional<Node> root;  ///< a mapping
  std::optional<Node>
      beginning;  ///< of text that is no YAML from some place on: what stands in front of that
  std::vector<Complaint> complaints;
};

inline constexpr int kNestingMax = 16;
inline constexpr std::size_t kEntriesMax =
    1024;  ///< of one mapping or list; the schema needs no more than 256

/// Never throws on bad text. `file` becomes part of every Position.
[[nodiscard]] Document parse_document(std::string_view text, std::uint32_t file);

}  // namespace fastlogd::config
