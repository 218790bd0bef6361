// Drop-ins onto the main file, before anything is given a meaning.
#pragma once

#include <string_view>

#include "config/document.hpp"

namespace fastlogd::config {

/// Merges `drop_in` into `base`; what a drop-in says wins, and later drop-ins win over earlier ones:
///   - a mapping is merged key by key, at every depth;
///   - `listeners` is merged by name: an unknown name is added, a known one has its keys overridden;
///   - any other value replaces the one before it.
/// Nothing can be removed by a drop-in. Positions stay with the values, so a problem names the file that said
/// it.
void merge_document(Node& base, Node drop_in);

/// Writes into `main` the streams and the listeners that hold where it says nothing of them, so that drop-ins are merged
/// onto these, too.
void spell_out_defaults(Node& main, std::string_view runtime_directory);

}  // namespace fastlogd::config
