// Reads a stream and prints it: the work of tail, cat and grep.
#pragma once

#include "ctl/exit_code.hpp"
#include "ctl/output.hpp"
#include "ctl/read_request.hpp"

namespace fastlogd::ctl {

/// Prints to standard output; returns when everything is shown, or never when following (until nobody reads).
[[nodiscard]] ExitCode read_log(const ReadRequest& request);
/// The same into `output`, shown as on a terminal or not.
[[nodiscard]] ExitCode read_log(const ReadRequest& request, Output& output, const Terminal& terminal);

}  // namespace fastlogd::ctl
