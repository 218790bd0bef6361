// Every command of fastlogctl. Each adds itself to the command line; when it is chosen, it runs and stores its exit
// code.
#pragma once

#include <string>
#include <vector>

#include "ctl/exit_code.hpp"

namespace CLI {
class App;
}

namespace fastlogd::ctl {

// Reading records.
void add_tail(CLI::App& app, ExitCode& exit_code);
void add_cat(CLI::App& app, ExitCode& exit_code);
void add_grep(CLI::App& app, ExitCode& exit_code);

// What there is.
void add_status(CLI::App& app, ExitCode& exit_code);
void add_streams(CLI::App& app, ExitCode& exit_code);
void add_segments(CLI::App& app, ExitCode& exit_code);
void add_usage(CLI::App& app, ExitCode& exit_code);
void add_gaps(CLI::App& app, ExitCode& exit_code);
void add_verify(CLI::App& app, ExitCode& exit_code);
void add_fsck(CLI::App& app, ExitCode& exit_code);

// Writing and control.
/// `words` are the message: main() puts what take_message_words() finds there, before the callback reads it.
void add_send(CLI::App& app, ExitCode& exit_code, const std::vector<std::string>& words);
void add_bench(CLI::App& app, ExitCode& exit_code);
void add_reload(CLI::App& app, ExitCode& exit_code);
void add_rotate(CLI::App& app, ExitCode& exit_code);
void add_sync(CLI::App& app, ExitCode& exit_code);

}  // namespace fastlogd::ctl
