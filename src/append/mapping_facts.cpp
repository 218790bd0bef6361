#include "append/mapping_facts.hpp"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include <fmt/format.h>

namespace fastlogd::append {

MappingFacts mapping_facts(const void* address) {
  MappingFacts facts;
  if (address == nullptr) return facts;
  std::ifstream smaps("/proc/self/smaps");
  const std::string start = fmt::format("{:x}-", reinterpret_cast<std::uintptr_t>(address));
  std::string line;
  bool inside = false;
  while (std::getline(smaps, line)) {
    if (!inside) {
      inside = line.starts_with(start);
      continue;
    }
    std::uint64_t kib = 0;
    if (std::sscanf(line.c_str(), "FilePmdMapped: %" SCNu64, &kib) == 1 ||
        std::sscanf(line.c_str(), "ShmemPmdMapped: %" SCNu64, &kib) == 1) {
      facts.huge_pages |= kib > 0;
    }
    if (!line.starts_with("VmFlags:")) continue;
    facts.map_sync = (line + " ").find(" sf ") != std::string::npos;
    break;
  }
  return facts;
}

}  // namespace fastlogd::append
