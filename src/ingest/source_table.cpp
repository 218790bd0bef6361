#include "ingest/source_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <string_view>

#include "base/result.hpp"

namespace fastlogd::ingest {
namespace {

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio (Knuth, TAOCP 6.4)
  return hash ^ (hash >> 32);
}

/// libstdc++ seeds its hash with a constant: a sender could choose colliding names, and would slow down its
/// own io thread by a probe of at most kSourcesPerThreadMax buckets.
std::uint64_t hash_of(const SourceView& source) {
  std::uint64_t hash = std::hash<std::string_view>{}(source.identifier);
  hash = mixed(hash, std::hash<std::string_view>{}(source.host));
  hash = mixed(hash, std::uint64_t{source.uid} << 32 | source.gid);
  return mixed(hash, std::uint64_t{source.pid} << 8 | static_cast<std::uint64_t>(source.transport));
}

}  // namespace

SourceTable::SourceTable(std::size_t slots) : entries_(slots), buckets_(std::bit_ceil(2 * slots), kNone) {
  FASTLOGD_CHECK(slots > 0);
}

SourceView SourceTable::view(Slot slot) const {
  const Entry& entry = entries_[slot];
  const std::string_view text(entry.text.data(), std::size_t{entry.host_bytes} + entry.identifier_bytes);
  return SourceView{.transport = entry.transport,
                    .uid = entry.uid,
                    .gid = entry.gid,
                    .pid = entry.pid,
                    .host = text.substr(0, entry.host_bytes),
                    .identifier = text.substr(entry.host_bytes)};
}

std::optional<SourceTable::Slot> SourceTable::find(const SourceView& source) const {
  const std::uint64_t hash = hash_of(source);
  for (std::size_t i = home(hash); buckets_[i] != kNone; i = home(i + 1)) {
    if (entries_[buckets_[i]].hash == hash && view(buckets_[i]) == source) return buckets_[i];
  }
  return std::nullopt;
}

std::optional<SourceTable::Slot> SourceTable::define(const SourceView& source) {
  FASTLOGD_CHECK(source.host.size() <= limits::kHostBytesMax &&
                 source.identifier.size() <= limits::kIdentifierBytesMax);
  Slot slot = static_cast<Slot>(used_);
  if (used_ < entries_.size()) {
    ++used_;
  } else {
    slot = oldest_;
    if (entries_[slot].block == block_) return std::nullopt;
    erase_bucket(slot);
    unlink(slot);
  }
  Entry& entry = entries_[slot];
  entry.hash = hash_of(source);
  entry.transport = source.transport;
  entry.uid = source.uid;
  entry.gid = source.gid;
  entry.pid = source.pid;
  entry.host_bytes = static_cast<std::uint8_t>(source.host.size());
  entry.identifier_bytes = static_cast<std::uint8_t>(source.identifier.size());
  std::copy(source.identifier.begin(), source.identifier.end(),
            std::copy(source.host.begin(), source.host.end(), entry.text.begin()));
  entry.block = block_;
  link_newest(slot);
  insert_bucket(slot);
  return slot;
}

void SourceTable::unlink(Slot slot) {
  Entry& entry = entries_[slot];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void SourceTable::link_newest(Slot slot) {
  entries_[slot].newer = kNone;
  entries_[slot].older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = slot;
  newest_ = slot;
}

void SourceTable::insert_bucket(Slot slot) {
  std::size_t i = home(entries_[slot].hash);
  while (buckets_[i] != kNone) i = home(i + 1);
  buckets_[i] = slot;
}

/// Moves later members of the probe chain back instead of leaving a tombstone (Knuth, TAOCP 6.4, algorithm
/// R).
void SourceTable::erase_bucket(Slot slot) {
  std::size_t hole = home(entries_[slot].hash);
  while (buckets_[hole] != slot) hole = home(hole + 1);
  for (std::size_t i = home(hole + 1); buckets_[i] != kNone; i = home(i + 1)) {
    const std::size_t wanted = home(entries_[buckets_[i]].hash);
    if (home(i - wanted) >= home(i - hole)) {  // its home is not between the hole and here
      buckets_[hole] = buckets_[i];
      hole = i;
    }
  }
  buckets_[hole] = kNone;
}

}  // namespace fastlogd::ingest
