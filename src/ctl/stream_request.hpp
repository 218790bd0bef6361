// Control requests about one stream: rotate and sync.
#pragma once

#include <string>

#include "ctl/exit_code.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {

/// POST /<verb>?stream=<the chosen one>. Prints nothing on success, like mv(1).
[[nodiscard]] ExitCode request_for_stream(const TargetOptions& options, const std::string& verb);

}  // namespace fastlogd::ctl
