// What a ring's source slots mean, and their ids in the active segment.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "record/ingress.hpp"
#include "segment/segment_writer.hpp"

namespace fastlogd::append {

/// One per ring; appender only. All memory is there from the start: sources that come and go (a pid per process) cost
/// no allocation.
class SourceMap {
 public:
  SourceMap() : slots_(limits::kSourcesPerThreadMax) {}

  /// A SourceDefinition has arrived: the slot has a new meaning from here on.
  void define(const ingress::EntryView& entry) {
    const std::uint32_t slot = entry.source_slot();
    FASTLOGD_CHECK(slot < slots_.size());
    const SourceView source = entry.source();
    Slot& into = slots_[slot];
    into.fields = source;
    into.fields.host = into.fields.identifier = {};
    into.host_bytes = static_cast<std::uint16_t>(source.host.size());
    into.identifier_bytes = static_cast<std::uint16_t>(source.identifier.size());
    std::memcpy(into.text.data(), source.host.data(), source.host.size());
    std::memcpy(into.text.data() + into.host_bytes, source.identifier.data(), source.identifier.size());
    into.segment = kNoSegment;
  }

  /// The slot's id in the writer's segment; writes its SOURCE frame on first use. False: the segment is full.
  [[nodiscard]] bool resolve(std::uint32_t slot, segment::SegmentWriter& writer, std::uint32_t& id) {
    FASTLOGD_CHECK(slot < slots_.size());
    Slot& at = slots_[slot];
    if (at.segment != writer.index()) [[unlikely]] {
      SourceView source = at.fields;
      source.host = {at.text.data(), at.host_bytes};
      source.identifier = {at.text.data() + at.host_bytes, at.identifier_bytes};
      const auto fresh = writer.append_source(source);
      if (!fresh) return false;
      at.segment = writer.index();
      at.id = *fresh;
    }
    id = at.id;
    return true;
  }

 private:
  static constexpr std::uint64_t kNoSegment = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t segment = kNoSegment;
    std::uint32_t id = 0;
    std::uint16_t host_bytes = 0;
    std::uint16_t identifier_bytes = 0;
    SourceView fields;
    std::array<char, limits::kHostBytesMax + limits::kIdentifierBytesMax> text{};
  };
  std::vector<Slot> slots_;
};

}  // namespace fastlogd::append
