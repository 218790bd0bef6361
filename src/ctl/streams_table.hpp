// All streams in a table, for `streams` and for `status` without a daemon.
#pragma once

#include <string>
#include <vector>

#include "ctl/table.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {

struct StreamsTable {
  Table table;
  std::vector<std::string> forbidden;  ///< why of which streams nothing is known: this user may not read them
};

[[nodiscard]] StreamsTable streams_table(const std::vector<Stream>& streams);

/// On standard error, a line each.
void print_forbidden(const StreamsTable& streams);

}  // namespace fastlogd::ctl
