// The equation of the records: read, and shown.
#include <numeric>

#include "metrics/collector.hpp"

namespace fastlogd::metrics {
namespace {

constexpr std::array<const char*, append::kDropReasons> kAppendDropReasons = {"segment_full", "store_failed",
                                                                              "shutdown"};
constexpr std::array<const char*, ingest::kDropReasons> kIngestDropReasons = {"ring_full", "shutdown",
                                                                              "refused"};

void append_dropped(const RecordTotals& totals, Families& families) {
  auto dropped = Family::counter("fastlogd_dropped_records_total",
                                 "Records received and then lost, by the stage that lost them.");
  for (std::size_t i = 0; i < ingest::kDropReasons; ++i) {
    dropped.sample({{"stage", "ingest"}, {"reason", kIngestDropReasons[i]}}, totals.dropped_receiving[i]);
  }
  for (std::size_t i = 0; i < append::kDropReasons; ++i) {
    dropped.sample({{"stage", "append"}, {"reason", kAppendDropReasons[i]}}, totals.dropped_appending[i]);
  }
  std::move(dropped).append_to(families);
}

}  // namespace

RecordBalance RecordTotals::balance() const {
  const auto sum = [](const auto& values) {
    return std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  };
  RecordBalance balance;
  balance.received = sum(received);
  balance.stored = sum(stored);
  balance.repeated = sum(repeated);
  balance.dropped = sum(dropped_appending) + sum(dropped_receiving);
  balance.in_flight = balance.received - balance.stored - balance.repeated - balance.dropped;
  return balance;
}

RecordTotals Registry::Collector::totals() const {
  const std::lock_guard lock(mutex);
  return totals_locked();
}

RecordTotals Registry::Collector::totals_locked() const {
  RecordTotals totals;
  for (const Stream& stream : streams) {
    totals.stored.push_back(stream.counters->stored_records.value());
    totals.repeated.push_back(stream.counters->repeated_records.value());
    for (std::size_t i = 0; i < append::kDropReasons; ++i) {
      totals.dropped_appending[i] += stream.counters->dropped_records[i].value();
    }
  }
  for (const Listener& listener : listeners) {
    for (std::size_t i = 0; i < ingest::kDropReasons; ++i) {
      totals.dropped_receiving[i] += listener.counters->dropped_records[i].value();
    }
  }
  // Only now: see RecordTotals.
  for (const Listener& listener : listeners)
    totals.received.push_back(listener.counters->received_records.value());
  return totals;
}

void Registry::Collector::collect_balance(Families& families) const {
  const RecordTotals totals = totals_locked();
  ByListener received;
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    received[listeners[i].labels] += static_cast<std::int64_t>(totals.received[i]);
  }
  append_by_listener(
      Family::counter("fastlogd_received_records_total",
                      "Complete records received. Equals stored + repeated + dropped + in flight."),
      received, families);

  auto stored = Family::counter("fastlogd_stored_records_total", "Records published in a segment.");
  for (std::size_t i = 0; i < streams.size(); ++i)
    stored.sample({{"stream", streams[i].name}}, totals.stored[i]);
  std::move(stored).append_to(families);

  auto repeated = Family::counter("fastlogd_repeated_records_total",
                                  "Records that a client sent again and that were in the log already.");
  for (std::size_t i = 0; i < streams.size(); ++i)
    repeated.sample({{"stream", streams[i].name}}, totals.repeated[i]);
  std::move(repeated).append_to(families);

  append_dropped(totals, families);

  auto in_flight = Family::gauge("fastlogd_in_flight_records", "Received, and none of the other three yet.");
  in_flight.sample({}, totals.balance().in_flight);
  std::move(in_flight).append_to(families);

  std::uint64_t in_kernel = 0;
  std::uint64_t in_clients = 0;
  for (const Listener& one : listeners) {
    in_kernel += one.counters->kernel_dropped_records.value();
    in_clients += one.counters->client_dropped_records.value();
  }
  auto lost = Family::counter("fastlogd_lost_before_receipt_records_total",
                              "Records lost before the daemon could read them, by where.");
  lost.sample({{"where", "kernel"}}, in_kernel).sample({{"where", "client"}}, in_clients);
  std::move(lost).append_to(families);
}

}  // namespace fastlogd::metrics
