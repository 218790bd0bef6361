// All streams in a table, for `streams` and for `status` without a daemon.
#pragma once

#include "ctl/table.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {

[[nodiscard]] Table streams_table(const TargetOptions& options);

}  // namespace fastlogd::ctl
