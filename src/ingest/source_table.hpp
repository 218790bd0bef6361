// The senders an io thread has told a stream's appender about.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/limits.hpp"
#include "record/source.hpp"

namespace fastlogd::ingest {

/// Gives each distinct SourceView a small slot number. Bounded: when all slots are taken, the one that was
/// used longest ago is redefined, never one that the current block already refers to. Everything is allocated
/// by the constructor.
///
/// Thread: the io thread that owns the ring. Used by BlockWriter, which puts a definition entry into the ring
/// before the first use of a slot.
class SourceTable {
 public:
  using Slot = std::uint32_t;

  explicit SourceTable(std::size_t slots = limits::kSourcesPerThreadMax);

  /// From here on, slots that are found or defined belong to a new block.
  void begin_block() { ++block_; }

  /// Is `slot` (of any earlier block) still this source? The cheap answer for a sender that repeats itself.
  [[nodiscard]] bool holds(Slot slot, const SourceView& source) const {
    return slot < used_ && view(slot) == source;
  }
  [[nodiscard]] std::optional<Slot> find(const SourceView& source) const;
  /// Takes a free slot or the one used longest ago. Nothing: every slot is in use by the current block.
  /// `source` must not be in the table; host and identifier within base/limits.hpp.
  [[nodiscard]] std::optional<Slot> define(const SourceView& source);
  /// The current block refers to `slot`.
  void use(Slot slot) {
    if (entries_[slot].block == block_) return;
    entries_[slot].block = block_;
    unlink(slot);
    link_newest(slot);
  }

  [[nodiscard]] SourceView view(Slot slot) const;
  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  static constexpr Slot kNone = 0xffffffff;

  struct Entry {
    std::uint64_t block = 0;  // the last one that used it
    std::uint64_t hash = 0;
    Slot newer = kNone;
    Slot older = kNone;
    std::uint32_t uid = kUnknownId;
    std::uint32_t gid = kUnknownId;
    std::uint32_t pid = kUnknownId;
    Transport transport = Transport::unknown;
    std::uint8_t host_bytes = 0;
    std::uint8_t identifier_bytes = 0;
    std::array<char, limits::kHostBytesMax + limits::kIdentifierBytesMax> text{};
  };
  static_assert(limits::kIdentifierBytesMax <= 255 && limits::kHostBytesMax <= 255);

  void unlink(Slot slot);
  void link_newest(Slot slot);
  void insert_bucket(Slot slot);
  void erase_bucket(Slot slot);
  [[nodiscard]] std::size_t home(std::uint64_t hash) const { return hash & (buckets_.size() - 1); }

  std::vector<Entry> entries_;
  std::vector<Slot> buckets_;  // open addressing, linear probing, at most half full
  std::size_t used_ = 0;
  std::uint64_t block_ = 1;
  Slot newest_ = kNone;
  Slot oldest_ = kNone;
};

}  // namespace fastlogd::ingest
