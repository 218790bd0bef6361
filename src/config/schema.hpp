// The tree -> a Config: every key there is, its type and its range. docs/fastlogd.yaml.5.scd says the same in
// prose.
#pragma once

#include "config/config.hpp"
#include "config/document.hpp"
#include "config/section.hpp"

namespace fastlogd::config {

/// Reads a merged document. Problems go to `log`; with any there, the Config is only good for finding more of
/// them.
[[nodiscard]] Config read_config(const Node& root, ReadLog& log);

/// Stream and listener names: [a-z0-9][a-z0-9_-]{0,31}; they become file names and metric labels.
[[nodiscard]] bool is_valid_name(std::string_view name);

}  // namespace fastlogd::config
