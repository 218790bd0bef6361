// Walks a stretch of a stream once, for commands that count.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ctl/exit_code.hpp"
#include "ctl/target.hpp"
#include "segment/log_reader.hpp"

namespace CLI {
class App;
}

namespace fastlogd::ctl {

struct ScanArguments {
  TargetOptions target;
  std::string since;
  std::string until;
  bool json = false;
};

/// STREAM, --directory, --config, -S, -U and --json.
void add_scan_options(CLI::App& command, ScanArguments& arguments);

/// Calls `visit` for every record in the stretch and every gap that reaches into it, up to what was published at the start, with a progress bar.
/// False if reading failed, which has been reported.
[[nodiscard]] bool scan(const ScanArguments& arguments,
                        const std::function<void(const segment::LogItem&)>& visit);

}  // namespace fastlogd::ctl
