// Reads one mapping key by key, strictly: every key must be asked for, every value must be of its type and
// range.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"

namespace fastlogd::config {

/// What is wrong, and where every path ("streams.main.directory") was written, for checks that come later.
class ReadLog {
 public:
  void complain(Position at, std::string message) { complaints_.push_back({at, std::move(message)}); }
  void remember(std::string path, Position at) { positions_.insert_or_assign(std::move(path), at); }

  /// The position of `path` or of its closest parent that was written; the main file's start if none was.
  [[nodiscard]] Position position_of(std::string_view path) const;
  [[nodiscard]] const std::vector<Complaint>& complaints() const { return complaints_; }

 private:
  std::vector<Complaint> complaints_;
  std::map<std::string, Position, std::less<>> positions_;
};

/// Words of a closed list and what they stand for.
template <class E>
using Words = std::span<const std::pair<std::string_view, E>>;

/// Usage: construct, read the fields, finish(). A field that is absent or wrong leaves its target alone.
class Section {
 public:
  /// `node` may be of any kind; when it is no mapping, that is reported and every field is absent.
  Section(const Node& node, std::string path, ReadLog& log);

  /// Marks `key` as known; nullptr when absent.
  const Node* find(std::string_view key);
  /// Keys and words of features that don't exist yet: refused with that reason instead of "unknown".
  void not_yet(std::initializer_list<std::string_view> keys);

  void text(std::string_view key, std::string& into);
  /// An absolute path, normalised; refuses "..", control characters and more than PATH_MAX.
  void path(std::string_view key, std::string& into);
  void boolean(std::string_view key, bool& into);
  /// Sizes such as 64MiB, within [min, max].
  void bytes(std::string_view key, std::uint64_t& into, std::uint64_t min, std::uint64_t max);
  void bytes_power_of_two(std::string_view key, std::uint64_t& into, std::uint64_t min, std::uint64_t max);
  /// As bytes(), or 0, which stands for "no limit".
  void bytes_or_zero(std::string_view key, std::uint64_t& into, std::uint64_t min);
  void duration(std::string_view key, std::chrono::nanoseconds& into, std::chrono::nanoseconds min,
                std::chrono::nanoseconds max);
  void duration_or_zero(std::string_view key, std::chrono::nanoseconds& into, std::chrono::nanoseconds min);
  /// Decimal digits only, within [min, max].
  void number(std::string_view key, unsigned& into, unsigned min, unsigned max);
  void port(std::string_view key, std::uint16_t& into);
  /// "0666": always with its leading 0, because 666 and 438 are what careless tools make of it.
  void file_mode(std::string_view key, unsigned& into);
  /// A numeric IPv4 or IPv6 address.
  void address(std::string_view key, std::string& into);

  /// False only when the key is absent or its word was refused.
  template <class E>
  bool word(std::string_view key, E& into, Words<E> words,
            std::initializer_list<std::string_view> later = {}) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : words) names.push_back(name);
    const Node* node = scalar(key, "a word");
    if (node == nullptr) return false;
    for (const auto& [name, value] : words) {
      if (name == node->text) {
        into = value;
        return true;
      }
    }
    refuse_word(key, *node, names, later);
    return false;
  }

  /// Reports the keys nobody asked for.
  void finish();

  [[nodiscard]] const Node& node() const { return node_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;
  void complain(std::string_view key, std::string message);

 private:
  /// The scalar at `key`; reports any other kind as "must be `what`".
  const Node* scalar(std::string_view key, std::string_view what);
  bool read_bytes(std::string_view key, std::uint64_t& into);
  bool read_duration(std::string_view key, std::chrono::nanoseconds& into);
  bool read_number(std::string_view key, unsigned& into);
  void refuse_word(std::string_view key, const Node& node, std::span<const std::string_view> names,
                   std::span<const std::string_view> later);
  void refuse_word(std::string_view key, const Node& node, std::span<const std::string_view> names,
                   std::initializer_list<std::string_view> later) {
    refuse_word(key, node, names, std::span(later.begin(), later.size()));
  }

  const Node& node_;
  std::string path_;
  ReadLog& log_;
  std::vector<std::string_view> known_;
  std::vector<std::string_view> not_yet_;
};

/// What a value is, for messages: "a list", "keys and values", "nothing", "text".
[[nodiscard]] std::string_view kind_name(const Node& node);

}  // namespace fastlogd::config
