// What fastlogctl's exit codes mean.
#pragma once

namespace fastlogd::ctl {

enum class ExitCode : int {
  done = 0,            ///< found or done; verify: sound
  nothing_found = 1,   ///< verify: records are missing and no GAP says why; control: no daemon answered
  usage = 2,           ///< the command line, or what it names, makes no sense; or the output can't be written
  corruption = 3,      ///< damage in the log
  configuration = 78,  ///< EX_CONFIG of sysexits.h
};

}  // namespace fastlogd::ctl
