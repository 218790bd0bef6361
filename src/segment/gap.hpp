// A stretch of the log that is missing, and why.
#pragma once

#include <cstdint>

#include "record/ingress.hpp"
#include "record/record_view.hpp"

namespace fastlogd::segment {

/// Unnumbered: records were lost before they got a sequence number (first and last are 0, count says how
/// many, 0 if nobody knows). Numbered: the records first..last had numbers and are gone. With the reason
/// durability_unknown they may be there: a sync failed on them, so a power loss may have taken them.
struct Gap {
  ingress::LossReason reason = ingress::LossReason::none;
  std::uint64_t count = 0;
  Sequence first;
  Sequence last;
  std::int64_t from_ns = 0;  ///< receive time before the gap, 0 unknown
  std::int64_t to_ns = 0;

  [[nodiscard]] bool numbered() const { return first.value != 0; }
};

}  // namespace fastlogd::segment
