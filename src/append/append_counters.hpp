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

/// How long calls took, by buckets of fixed bounds. One writing thread.
struct DurationHistogram {
  /// Upper bounds in ns; what took longer is in the last bucket.
  static constexpr std::array<std::int64_t, 15> kBounds{
      100'000,     250'000,     500'000,       1'000'000,     2'500'000,
      5'000'000,   10'000'000,  25'000'000,    50'000'000,    100'000'000,
      250'000'000, 500'000'000, 1'000'000'000, 2'500'000'000, 10'000'000'000};

  void add(std::int64_t nanos) {
    std::size_t at = 0;
    while (at < kBounds.size() && nanos > kBounds[at]) ++at;
    buckets[at].add();
    sum_nanos.add(static_cast<std::uint64_t>(nanos));
    last_nanos.store(nanos, std::memory_order_relaxed);
  }

  std::array<Counter, kBounds.size() + 1> buckets;
  Counter sum_nanos;
  std::atomic<std::int64_t> last_nanos{0};
};

struct AppendCounters {
  // appender
  Counter stored_records;
  Counter stored_bytes;      ///< frame bytes, headers included
  Counter message_bytes;     ///< slice bytes alone
  Counter repeated_records;  ///< sent again by a client with an id, and in the log already
  std::array<Counter, kDropReasons> dropped_records;
  Counter gap_frames;
  Counter rolls;
  Counter waits_for_segment;  ///< cycles that found no prepared segment: back-pressure
  Counter duty_cycles;
  Counter parks;
  Counter sync_wishes;  ///< records that shall be durable at once: by mode, severity, or their sender's wish
  Counter unknown_durability;  ///< records named by a GAP of that reason
  // sync thread
  Counter syncs;  ///< fdatasync calls, failed ones included
  DurationHistogram sync_duration;
  Counter sync_wishes_settled;                 ///< of sync_wishes: durable now, or refused
  Counter fail_overs;                          ///< failures behind which the log became durable again
  SharedCounter sync_errors;                   ///< sync thread and housekeeper
  std::atomic<std::int64_t> sync_began_ns{0};  ///< since when the sync thread syncs, monotonic; 0: it doesn't
  // housekeeper
  Counter segments_prepared;
  Counter segments_sealed;
  Counter segments_removed;
  Counter housekeeping_errors;
  std::atomic<std::uint64_t> disk_bytes{0};
  std::atomic<std::uint64_t> segments{0};
  std::atomic<std::uint64_t> set_aside_files{
      0};  ///< what starts have set aside or cut, as of the last minute
  std::atomic<std::uint64_t> set_aside_bytes{0};
  std::atomic<bool> store_failed{
      false};  ///< sync thread: a sync or store failed, and nothing has become durable since
  std::atomic<bool> disk_full{false};       ///< the last attempt to prepare a segment failed
  std::atomic<int> prepare_error{0};        ///< why, as errno; written before disk_full
  std::atomic<bool> active_removed{false};  ///< the active segment's name is gone, or is another file's
};

}  // namespace fastlogd::append
