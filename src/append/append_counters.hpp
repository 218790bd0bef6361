// What a stream's store counts; read on scrape. Each line says which thread writes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/counter.hpp"

namespace fastlogd::append {

/// Why a record that had left its ring was not stored.
enum class DropReason : std::uint8_t { segment_full, store_failed, shutdown };
inline constexpr std::size_t kDropReasons = 3;

struct AppendCounters {
  // appender
  Counter stored_records;
  Counter stored_bytes;   ///< frame bytes, headers included
  Counter message_bytes;  ///< slice bytes alone
  std::array<Counter, kDropReasons> dropped_records;
  Counter gap_frames;
  Counter rolls;
  Counter waits_for_segment;  ///< cycles that found no prepared segment: back-pressure
  Counter duty_cycles;
  Counter parks;
  // sync thread
  Counter syncs;
  Counter sync_errors;
  Counter sync_nanos;
  std::atomic<std::int64_t> last_sync_nanos{0};
  // housekeeper
  Counter segments_prepared;
  Counter segments_sealed;
  Counter segments_removed;
  Counter housekeeping_errors;
  std::atomic<std::uint64_t> disk_bytes{0};
  std::atomic<std::uint64_t> segments{0};
  std::atomic<bool> store_failed{false};  ///< a sync or store failed for good; shown by /healthz
  std::atomic<bool> disk_full{false};     ///< the last attempt to prepare a segment failed
};

}  // namespace fastlogd::append
