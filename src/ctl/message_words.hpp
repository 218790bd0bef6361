// The words of `fastlogctl send MESSAGE...`, taken out of the command line as they are.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace fastlogd::ctl {

/// Moves what is neither an option of `send`, nor an option's value, nor the first "--", out of `arguments` (what
/// stands behind "send"): CLI11 would unpack "[a,b]", lose empty words and end at "++". Options that `send` doesn't have
/// stay, and are refused by CLI11; behind "--" nothing is an option.
[[nodiscard]] std::vector<std::string> take_message_words(const CLI::App& send,
                                                          std::vector<std::string>& arguments);

}  // namespace fastlogd::ctl
