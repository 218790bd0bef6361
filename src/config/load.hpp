// Files -> a checked Config, or every reason why not. For start-up, --check, fastlogctl and the reloader.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/problem.hpp"
#include "config/sources.hpp"

namespace fastlogd::config {

/// What an absent main file means. Asked for by name it must be there; at the default path it may be absent
/// at start, and then the defaults hold (drop-ins, if any, on top of them).
enum class MissingFile : std::uint8_t { refused, defaults };

/// Either a configuration or at least one problem, sorted by file, line and column.
struct Loaded {
  std::shared_ptr<const Config> config;  ///< nullptr when there are problems
  std::vector<Problem> problems;
  Sources sources;  ///< the bytes this was made of

  [[nodiscard]] bool ok() const { return config != nullptr; }
};

/// Reads and checks everything; never throws on bad content.
[[nodiscard]] Loaded load(const std::string& main_path, MissingFile missing = MissingFile::refused);

/// The same for bytes already read.
[[nodiscard]] Loaded load_sources(Sources sources, MissingFile missing = MissingFile::refused);

/// The runtime directory that the files name as far as they can be read: past any mistake but one in the syntax, and up to
/// that one (in JSON: not at all). The default if they do not name one. For finding a daemon that goes on with what they
/// said before.
[[nodiscard]] std::string readable_runtime_directory(const Sources& sources);

/// `fastlogd --check`: one line "file:line:column: message" per problem; empty when the configuration is
/// good.
[[nodiscard]] std::string check(const std::string& main_path, MissingFile missing = MissingFile::refused);

}  // namespace fastlogd::config
