// This machine's name.
#pragma once

#include <string>

namespace fastlogd {

/// As gethostname(2) says, "localhost" if it says nothing.
[[nodiscard]] std::string local_host_name();

}  // namespace fastlogd
