#include "config/load.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "config/conflicts.hpp"
#include "config/document.hpp"
#include "config/merge.hpp"
#include "config/schema.hpp"
#include "config/section.hpp"

namespace fastlogd::config {
namespace {

void read_runtime_directory(const Node& root, std::string& into) {
  ReadLog ignored;
  Section(root, "", ignored).path("runtime_directory", into);
}

class Loader {
 public:
  Loader(const Sources& sources, MissingFile missing) : sources_(sources), missing_(missing) {}

  std::shared_ptr<const Config> run() {
    std::optional<Node> root = merged_document();
    if (!root) return nullptr;
    ReadLog log;
    Config config = read_config(*root, log);
    for (const Complaint& complaint : log.complaints()) add(complaint);
    // Conflicts among values that were refused above would only repeat what has been said.
    if (log.complaints().empty()) {
      for (const Conflict& conflict : find_conflicts(config)) {
        add({log.position_of(conflict.path), conflict.path + ": " + conflict.message});
      }
    }
    if (!problems_.empty()) return nullptr;
    return std::make_shared<const Config>(std::move(config));
  }

  std::vector<Problem> take_problems() {
    std::ranges::sort(problems_, {},
                      [](const Problem& p) { return std::tie(p.file, p.line, p.column, p.message); });
    return std::move(problems_);
  }

 private:
  void add(const Complaint& complaint) {
    const Position& at = complaint.at;
    problems_.push_back({sources_.files[at.file].path, at.line, at.column, complaint.message});
  }

  /// All files are parsed, so that all their mistakes show; nothing is returned unless all could be.
  std::optional<Node> merged_document() {
    std::vector<Node> roots;
    for (std::uint32_t i = 0; i < sources_.files.size(); ++i) {
      if (std::optional<Node> root = parse_file(i)) roots.push_back(std::move(*root));
    }
    if (roots.empty() || roots.size() < sources_.files.size()) return std::nullopt;
    Node merged = std::move(roots.front());
    if (roots.size() > 1) {
      std::string runtime_directory = daemon::DaemonOptions{}.runtime_directory;
      read_runtime_directory(merged, runtime_directory);
      for (const Node& drop_in : std::span(roots).subspan(1))
        read_runtime_directory(drop_in, runtime_directory);
      spell_out_defaults(merged, runtime_directory);
    }
    for (std::size_t i = 1; i < roots.size(); ++i) merge_document(merged, std::move(roots[i]));
    return merged;
  }

  std::optional<Node> parse_file(std::uint32_t index) {
    const SourceFile& file = sources_.files[index];
    if (!file.error.empty()) {
      if (index == 0 && file.missing && missing_ == MissingFile::defaults) {
        Node nothing;
        nothing.kind = Node::Kind::mapping;
        return nothing;
      }
      problems_.push_back({file.path, 1, 1, file.error});
      return std::nullopt;
    }
    Document document = parse_document(file.bytes, index);
    for (const Complaint& complaint : document.complaints) add(complaint);
    return std::move(document.root);
  }

  const Sources& sources_;
  MissingFile missing_;
  std::vector<Problem> problems_;
};

}  // namespace

Loaded load_sources(Sources sources, MissingFile missing) {
  Loaded loaded;
  loaded.sources = std::move(sources);
  Loader loader(loaded.sources, missing);
  loaded.config = loader.run();
  loaded.problems = loader.take_problems();
  return loaded;
}

Loaded load(const std::string& main_path, MissingFile missing) {
  return load_sources(read_sources(main_path), missing);
}

std::string readable_runtime_directory(const Sources& sources) {
  std::string directory = daemon::DaemonOptions{}.runtime_directory;
  for (std::uint32_t i = 0; i < sources.files.size(); ++i) {
    const Document document = parse_document(sources.files[i].bytes, i);
    const std::optional<Node>& root = document.root ? document.root : document.beginning;
    if (root) read_runtime_directory(*root, directory);
  }
  return directory;
}

std::string check(const std::string& main_path, MissingFile missing) {
  return format_problems(load(main_path, missing).problems);
}

}  // namespace fastlogd::config
