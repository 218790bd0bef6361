#include "base/thread_role.hpp"

#include <sys/prctl.h>

namespace fastlogd {

void set_thread_name(const char* name) {
  ::prctl(PR_SET_NAME, name);
}

}  // namespace fastlogd
