// What the active segment's mapping is, asked of the kernel no more often than the answer can change.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "append/live_segment.hpp"
#include "append/mapping_facts.hpp"

namespace fastlogd::append {

/// The kernel's word on the active segment's mapping. Asking costs a walk over all mappings of the process, so it is asked
/// no more once the answer can't become better: huge pages come as pages are populated, the rest stands from the start.
/// Any thread.
class ActiveMapping {
 public:
  using Ask = std::function<MappingFacts(const void* address)>;
  explicit ActiveMapping(Ask ask = mapping_facts) : ask_(std::move(ask)) {}

  MappingFacts of(const LiveSegment& active) {
    const std::lock_guard lock(mutex_);
    if (index_ == active.file.header.index) return facts_;
    const MappingFacts facts = ask_(active.file.mapping.data());
    if (facts.huge_pages || !active.file.huge_pages_asked) {
      index_ = active.file.header.index;
      facts_ = facts;
    }
    return facts;
  }

 private:
  std::mutex mutex_;
  Ask ask_;
  std::uint64_t index_ = 0;  ///< of the segment that facts_ are about; 0: none
  MappingFacts facts_;
};

}  // namespace fastlogd::append
