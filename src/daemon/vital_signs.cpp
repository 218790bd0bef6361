#include "daemon/vital_signs.hpp"

namespace fastlogd::daemon {

void VitalSigns::observe(const std::string& thread, std::uint64_t cycles, Clock::time_point now) {
  const auto [it, is_new] = pulses_.try_emplace(thread, Pulse{cycles, now});
  if (is_new || it->second.cycles == cycles) return;
  it->second = {cycles, now};
}

std::vector<std::string> VitalSigns::stalled(Clock::time_point now, Clock::duration bound) const {
  std::vector<std::string> names;
  for (const auto& [name, pulse] : pulses_) {
    if (now - pulse.moved >= bound) names.push_back(name);
  }
  return names;
}

}  // namespace fastlogd::daemon
