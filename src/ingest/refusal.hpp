// Why a record is lost, in the words of the native protocol.
#pragma once

#include "record/ingress.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::ingest {

/// `none`: the record is stored, but a sync of it has failed.
[[nodiscard]] inline wire::Refusal refusal_of(ingress::LossReason reason) {
  switch (reason) {
    case ingress::LossReason::none:
      return wire::Refusal::durability_unknown;
    case ingress::LossReason::shutdown:
      return wire::Refusal::shutting_down;
    default:
      return wire::Refusal::stream_full;
  }
}

}  // namespace fastlogd::ingest
