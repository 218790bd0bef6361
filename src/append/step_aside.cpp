#include "append/step_aside.hpp"

namespace fastlogd::append {

void StepAside::avoid(int cpu) {
  if (avoided_ < 0 && ::sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) return;
  avoided_ = cpu;
  if (cpu >= CPU_SETSIZE || CPU_COUNT(&allowed_) < 2) return;
  cpu_set_t others = allowed_;
  CPU_CLR(static_cast<unsigned>(cpu), &others);
  if (CPU_COUNT(&others) > 0) (void)::sched_setaffinity(0, sizeof others, &others);
}

}  // namespace fastlogd::append
