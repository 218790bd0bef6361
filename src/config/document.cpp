#include "config/document.hpp"

#include <algorithm>
#include <istream>
#include <streambuf>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace fastlogd::config {
namespace {

/// Ends the reading of a file that no person wrote.
struct Refused {
  Position at;
  std::string message;
};

/// Builds the tree from yaml-cpp's events. Values are completed bottom-up: a frame per open collection.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::uint32_t file, std::vector<Complaint>& complaints)
      : file_(file), complaints_(complaints) {}

  [[nodiscard]] std::optional<Node> take_root() { return std::exchange(root_, std::nullopt); }

  /// What has been built where no more events come because of an error.
  [[nodiscard]] std::optional<Node> take_beginning() {
    while (!frames_.empty()) {
      frames_.back().pending.reset();
      Node node = std::move(frames_.back().node);
      frames_.pop_back();
      if (frames_.empty()) return node;
      Frame& parent = frames_.back();
      if (!parent.pending || parent.drop_value) continue;
      parent.pending->value = std::move(node);
      parent.node.entries.push_back(std::move(*parent.pending));
    }
    return std::nullopt;
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Node node;
    node.at = position(mark);
    add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    complain(mark, "aliases (*name) are not supported; write the value out");
    Node node;
    node.at = position(mark);
    add(std::move(node));
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    complain(mark,
             fmt::format("anchors (&{}) are not supported; write the value out where it is used", name));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    check_tag(mark, tag);
    Node node;
    node.kind = Node::Kind::scalar;
    node.quoted = tag == "!";  // yaml-cpp's mark of a scalar in quotes; plain ones carry "?"
    node.at = position(mark);
    node.text = value;
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Node::Kind::sequence, mark);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Node::Kind::mapping, mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    std::optional<Entry> pending;  ///< mapping: its key has been seen, its value has not
    bool drop_value = false;       ///< mapping: the key was refused, so its value is not kept
  };

  [[nodiscard]] Position position(const YAML::Mark& mark) const {
    return {file_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
  }

  void complain(const YAML::Mark& mark, std::string message) {
    complaints_.push_back({position(mark), std::move(message)});
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      complain(mark, fmt::format("tags ({}) are not supported", tag));
  }

  void open(Node::Kind kind, const YAML::Mark& mark) {
    if (frames_.size() >= kNestingMax)
      throw Refused{position(mark), fmt::format("nested deeper than {} levels", kNestingMax)};
    Frame frame;
    frame.node.kind = kind;
    frame.node.at = position(mark);
    frames_.push_back(std::move(frame));
  }

  void close() {
    Node node = std::move(frames_.back().node);
    frames_.pop_back();
    add(std::move(node));
  }

  void add(Node node) {
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    // Looking for equal keys is quadratic; this keeps a hostile file from holding the main thread for minutes.
    if (frame.node.items.size() >= kEntriesMax || frame.node.entries.size() >= kEntriesMax) {
      throw Refused{node.at, fmt::format("more than {} entries in one place", kEntriesMax)};
    }
    if (frame.node.kind == Node::Kind::sequence) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.pending) {
      take_key(frame, std::move(node));
    } else {
      frame.pending->value = std::move(node);
      if (!frame.drop_value) frame.node.entries.push_back(std::move(*frame.pending));
      frame.pending.reset();
    }
  }

  void take_key(Frame& frame, Node key) {
    frame.drop_value = true;
    if (key.kind != Node::Kind::scalar) {
      complaints_.push_back({key.at, "a key must be a word"});
    } else if (key.text == "<<" && !key.quoted) {
      complaints_.push_back({key.at, "merge keys (<<) are not supported; write the values out"});
    } else if (const Entry* first = frame.node.find(key.text)) {
      complaints_.push_back({key.at, fmt::format("key '{}' is given twice; the first is on line {}", key.text,
                                                 first->at.line)});
    } else {
      frame.drop_value = false;
    }
    frame.pending = Entry{std::move(key.text), key.at, {}};
  }

  std::uint32_t file_;
  std::vector<Complaint>& complaints_;
  std::vector<Frame> frames_;
  std::optional<Node> root_;
};

/// Reads the text where it lies.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // streambuf's interface; nothing here writes
    setg(begin, begin, begin + text.size());
  }
};

/// YAML 1.2 section 5.1: control characters are not text. A NUL would also end yaml-cpp's reading silently.
std::optional<Complaint> find_control_character(std::string_view text, std::uint32_t file) {
  Position at{file, 1, 1};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) {
      return Complaint{at, fmt::format("control character 0x{:02x}: this is not YAML text", byte)};
    }
    ++at.column;
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    }
  }
  return std::nullopt;
}

void parse(std::string_view text, TreeBuilder& builder, std::uint32_t file, Document& document) {
  ViewBuffer buffer(text);
  std::istream input(&buffer);
  YAML::Parser parser(input);
  parser.HandleNextDocument(builder);
  document.root = builder.take_root();
  if (!document.root || document.root->kind == Node::Kind::null) {
    document.root.reset();
    if (document.complaints.empty()) document.complaints.push_back({{file, 1, 1}, "the file is empty"});
  } else if (document.root->kind != Node::Kind::mapping) {
    document.complaints.push_back(
        {document.root->at, "the file must hold keys and values, such as 'streams:'"});
    document.root.reset();
  } else if (parser.HandleNextDocument(builder)) {
    const std::optional<Node> second = builder.take_root();
    document.complaints.push_back({second ? second->at : Position{file, 1, 1},
                                   "a second document ('---') in the same file is not supported"});
  }
}

/// The commonest slip, for which the parser has only words like "illegal map value": a tab before the first word of the
/// line of `at` or the one before it.
std::optional<Position> tab_in_indentation(std::string_view text, Position at) {
  int line = 1;
  for (std::size_t start = 0; line <= at.line && start <= text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view indentation = text.substr(start, text.find_first_not_of(" \t", start) - start);
    const std::size_t tab = indentation.substr(0, end - start).find('\t');
    if (line >= at.line - 1 && tab != std::string_view::npos) {
      return Position{at.file, line, static_cast<int>(tab) + 1};
    }
    start = end + 1;
  }
  return std::nullopt;
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &*found;
}

Entry* Node::find(std::string_view key) {
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &*found;
}

Document parse_document(std::string_view text, std::uint32_t file) {
  Document document;
  if (auto complaint = find_control_character(text, file)) {
    document.complaints.push_back(std::move(*complaint));
    return document;
  }
  TreeBuilder builder(file, document.complaints);
  try {
    parse(text, builder, file, document);
  } catch (const Refused& refused) {
    document.root.reset();
    document.complaints.push_back({refused.at, refused.message});
  } catch (const YAML::Exception& error) {
    document.root.reset();
    document.beginning = builder.take_beginning();
    const Position at{file, std::max(error.mark.line, 0) + 1, std::max(error.mark.column, 0) + 1};
    const auto tab = tab_in_indentation(text, at);
    document.complaints.push_back(tab ? Complaint{*tab, "a tab in the indentation; YAML wants spaces"}
                                      : Complaint{at, error.msg});
  }
  return document;
}

}  // namespace fastlogd::config
