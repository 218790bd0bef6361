// What the kernel really does for a mapping; madvise(2) and mmap(2) succeeding does not say.
#pragma once

namespace fastlogd::append {

struct MappingFacts {
  bool huge_pages = false;  ///< FilePmdMapped of smaps is not 0, or on tmpfs ShmemPmdMapped
  bool map_sync =
      false;  ///< `sf` in VmFlags: page faults are synchronous, block mappings durable (proc_pid_smaps(5))
};

/// Of the mapping that begins at `address` in this process; nothing holds of none. Reads /proc/self/smaps: for status
/// and metrics, not for the record path.
[[nodiscard]] MappingFacts mapping_facts(const void* address);

}  // namespace fastlogd::append
