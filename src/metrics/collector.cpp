#include "metrics/collector.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/clock.hpp"
#include "metrics/families.hpp"
#include "metrics/process_metrics.hpp"

namespace fastlogd::metrics {
namespace {

using append::AppendCounters;

constexpr std::array<const char*, ingest::kShareRefusals> kShareRefusals = {"not_here", "off", "quota",
                                                                            "no_memory"};
constexpr std::array<const char*, ingest::kRefusalReasons> kRefusalReasons = {
    "too_large", "malformed", "stream_full", "durability_unknown", "shutting_down"};
constexpr std::array<const char*, ingest::kCloseReasons> kCloseReasons = {
    "peer", "error", "abusive", "connections_max", "not_text", "shutdown", "removed", "descriptors"};

double seconds(std::int64_t nanos) {
  return static_cast<double>(nanos) / static_cast<double>(kNanosPerSecond);
}

Buckets buckets_of(const append::DurationHistogram& histogram) {
  Buckets buckets;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < histogram.buckets.size(); ++i) {
    count += histogram.buckets[i].value();
    const bool last = i == append::DurationHistogram::kBounds.size();
    buckets.cumulative.emplace_back(
        last ? std::numeric_limits<double>::infinity() : seconds(append::DurationHistogram::kBounds[i]),
        count);
  }
  buckets.sum = seconds(static_cast<std::int64_t>(histogram.sum_nanos.value()));
  return buckets;
}

template <class Counters>
struct Metric {
  const char* name;
  const char* help;
  Counter Counters::* counter;
};

constexpr Metric<ingest::ListenerCounters> kListenerMetrics[] = {
    {"fastlogd_received_bytes_total", "Bytes read from sockets.", &ingest::ListenerCounters::received_bytes},
    {"fastlogd_truncated_records_total", "Records cut at limits.record_bytes_max.",
     &ingest::ListenerCounters::truncated_records},
    {"fastlogd_malformed_records_total", "Records with a header that could not be parsed; kept as raw text.",
     &ingest::ListenerCounters::malformed_records},
    {"fastlogd_backpressure_pauses_total", "Times reading stopped because a ring was full.",
     &ingest::ListenerCounters::backpressure_pauses},
    {"fastlogd_control_truncated_datagrams_total", "Datagrams whose credentials the kernel truncated.",
     &ingest::ListenerCounters::control_truncated},
    {"fastlogd_closed_descriptors_total", "Uninvited descriptors that came with a datagram, closed.",
     &ingest::ListenerCounters::descriptors_closed},
    {"fastlogd_acknowledgements_total",
     "Acknowledgements sent to native clients; one can cover many records.",
     &ingest::ListenerCounters::acknowledgements},
    {"fastlogd_native_connections_total", "Accepted connections that speak the native protocol.",
     &ingest::ListenerCounters::native_connections},
    {"fastlogd_shared_connections_total", "Native connections that got shared memory.",
     &ingest::ListenerCounters::shared_connections},
    {"fastlogd_resumed_rings_total",
     "Shared memory that a daemon before this one had left, and this one drains.",
     &ingest::ListenerCounters::resumed_rings},
    {"fastlogd_shared_violations_total",
     "Shared memory that was taken back because of what its client had put into it.",
     &ingest::ListenerCounters::shared_violations},
    {"fastlogd_accepted_connections_total", "Connections accepted.",
     &ingest::ListenerCounters::accepted_connections},
    {"fastlogd_accept_errors_total", "Failed accept calls.", &ingest::ListenerCounters::accept_errors},
};

constexpr Metric<AppendCounters> kStreamMetrics[] = {
    {"fastlogd_stored_bytes_total", "Frame bytes written into segments, headers included.",
     &AppendCounters::stored_bytes},
    {"fastlogd_stored_message_bytes_total", "Bytes of the stored messages alone.",
     &AppendCounters::message_bytes},
    {"fastlogd_gap_frames_total", "GAP frames written.", &AppendCounters::gap_frames},
    {"fastlogd_segment_rolls_total", "Times the appender went on in the next segment.",
     &AppendCounters::rolls},
    {"fastlogd_segment_waits_total", "Appender cycles that found no prepared segment.",
     &AppendCounters::waits_for_segment},
    {"fastlogd_appender_duty_cycles_total", "Duty cycles of the appender, idle ones included.",
     &AppendCounters::duty_cycles},
    {"fastlogd_appender_parks_total", "Times the appender went to sleep.", &AppendCounters::parks},
    {"fastlogd_syncs_total", "fdatasync calls on segments.", &AppendCounters::syncs},
    {"fastlogd_fail_overs_total", "Failed segments behind which the log became durable again.",
     &AppendCounters::fail_overs},
    {"fastlogd_durability_unknown_records_total",
     "Stored records that may not be on disk, because a sync failed on them.",
     &AppendCounters::unknown_durability},
    {"fastlogd_segments_prepared_total", "Segments made ready ahead of use.",
     &AppendCounters::segments_prepared},
    {"fastlogd_segments_sealed_total", "Segments sealed.", &AppendCounters::segments_sealed},
    {"fastlogd_segments_removed_total", "Segments removed by retention.", &AppendCounters::segments_removed},
    {"fastlogd_housekeeping_errors_total", "Failures to prepare, seal or remove a segment.",
     &AppendCounters::housekeeping_errors},
};

constexpr Metric<follow::TextFileCounters> kTextFileMetrics[] = {
    {"fastlogd_text_lines_total", "Lines written to the text file.", &follow::TextFileCounters::lines},
    {"fastlogd_text_bytes_total", "Bytes written to the text file.", &follow::TextFileCounters::bytes},
    {"fastlogd_text_rotations_total", "Rotations of the text file.", &follow::TextFileCounters::rotations},
    {"fastlogd_text_errors_total", "Failures to write or rotate the text file.",
     &follow::TextFileCounters::errors},
    {"fastlogd_text_overtaken_total", "Times retention removed records that were not in the text file yet.",
     &follow::TextFileCounters::overtaken},
};

}  // namespace

Labels labels_of(const ListenerLabels& labels) {
  return {{"listener", labels.listener}, {"transport", labels.transport}, {"stream", labels.stream}};
}

void append_by_listener(Family family, const ByListener& sums, Families& to) {
  for (const auto& [labels, value] : sums) family.sample(labels_of(labels), value);
  std::move(family).append_to(to);
}

Families Registry::Collector::collect() const {
  Families families;
  const std::lock_guard lock(mutex);
  auto build = Family::gauge("fastlogd_build_info", "Version and compiler of this program; always 1.");
  build.sample({{"version", FASTLOGD_VERSION}, {"compiler", __VERSION__}}, 1);
  std::move(build).append_to(families);
  collect_balance(families);
  collect_listeners(families);
  collect_connections(families);
  collect_streams(families);
  collect_text_files(families);
  collect_config(families);
  append_process_metrics(families);
  return families;
}

void Registry::Collector::collect_listeners(Families& families) const {
  for (const auto& metric : kListenerMetrics) {
    ByListener sums;
    for (const Listener& listener : listeners) {
      sums[listener.labels] += static_cast<std::int64_t>((*listener.counters.*metric.counter).value());
    }
    append_by_listener(Family::counter(metric.name, metric.help), sums, families);
  }
}

/// One sample per listener and reason of an array of counters.
template <std::size_t N, class Get>
void Registry::Collector::append_by_reason(Family family, const std::array<const char*, N>& reasons, Get get,
                                           Families& families) const {
  std::map<ListenerLabels, std::array<std::uint64_t, N>> sums;
  for (const Listener& listener : listeners) {
    auto& by_reason = sums[listener.labels];
    for (std::size_t i = 0; i < N; ++i) by_reason[i] += get(*listener.counters)[i].value();
  }
  for (const auto& [labels, by_reason] : sums) {
    for (std::size_t i = 0; i < N; ++i) {
      Labels with_reason = labels_of(labels);
      with_reason.push_back({"reason", reasons[i]});
      family.sample(std::move(with_reason), by_reason[i]);
    }
  }
  std::move(family).append_to(families);
}

void Registry::Collector::collect_connections(Families& families) const {
  ByListener open;
  for (const Listener& listener : listeners) {
    open[listener.labels] += listener.counters->open_connections.load(std::memory_order_relaxed);
  }
  append_by_listener(Family::gauge("fastlogd_open_connections", "Connections open now."), open, families);
  append_by_reason(
      Family::counter("fastlogd_closed_connections_total", "Connections closed or refused, by why."),
      kCloseReasons, [](const auto& counters) -> const auto& { return counters.closed_connections; },
      families);
  append_by_reason(
      Family::counter("fastlogd_refused_records_total",
                      "Records that native clients were told are not, or not known to be, safe."),
      kRefusalReasons, [](const auto& counters) -> const auto& { return counters.refused_records; },
      families);
  append_by_reason(
      Family::counter("fastlogd_refused_shares_total", "Clients that got no shared memory, by why."),
      kShareRefusals, [](const auto& counters) -> const auto& { return counters.refused_shares; }, families);
}

void Registry::Collector::collect_streams(Families& families) const {
  const auto per_stream = [&](Family family, auto value_of) {
    for (const Stream& stream : streams) family.sample({{"stream", stream.name}}, value_of(*stream.counters));
    std::move(family).append_to(families);
  };
  for (const auto& metric : kStreamMetrics) {
    per_stream(Family::counter(metric.name, metric.help),
               [&](const auto& counters) { return (counters.*metric.counter).value(); });
  }
  collect_durability(families);
  const auto gauge = [&](const char* name, const char* help, auto member) {
    per_stream(Family::gauge(name, help),
               [&](const auto& counters) { return (counters.*member).load(std::memory_order_relaxed); });
  };
  gauge("fastlogd_segments", "Segment files of the stream.", &AppendCounters::segments);
  gauge("fastlogd_disk_bytes", "Disk space the stream's segments take.", &AppendCounters::disk_bytes);
  gauge("fastlogd_set_aside_files", "Files that starts have set aside or cut off; yours to remove.",
        &AppendCounters::set_aside_files);
  gauge("fastlogd_set_aside_bytes", "Disk space of those; outside retention.",
        &AppendCounters::set_aside_bytes);
  per_stream(Family::gauge("fastlogd_disk_full", "1 while no further segment can be prepared."),
             [](const auto& c) { return c.disk_full.load(std::memory_order_relaxed) ? 1 : 0; });
  per_stream(Family::gauge("fastlogd_active_segment_removed",
                           "1 while the file being written has been removed or renamed."),
             [](const auto& c) { return c.active_removed.load(std::memory_order_relaxed) ? 1 : 0; });
  auto mode = Family::gauge("fastlogd_stream_mode_info",
                            "Durability, way of writing and page size in force; always 1.");
  for (const Stream& stream : streams) {
    const StreamMode now = stream.mode();
    mode.sample({{"stream", stream.name},
                 {"durability", now.durability},
                 {"write", now.write},
                 {"page_size", now.page_size}},
                1);
  }
  std::move(mode).append_to(families);
  collect_start_findings(families);
}

void Registry::Collector::collect_start_findings(Families& families) const {
  auto notes = Family::gauge("fastlogd_recovery_notes",
                             "What the last start found that a clean stop does not leave; see its log.");
  auto damage = Family::gauge("fastlogd_recovery_damage_notes",
                              "Of these, damage and missing segments: stored records may be lost.");
  for (const Stream& stream : streams) {
    notes.sample({{"stream", stream.name}}, stream.found.notes);
    damage.sample({{"stream", stream.name}}, stream.found.damage_notes);
  }
  std::move(notes).append_to(families);
  std::move(damage).append_to(families);
}

void Registry::Collector::collect_durability(Families& families) const {
  const auto per_stream = [&](Family family, auto value_of) {
    for (const Stream& stream : streams) family.sample({{"stream", stream.name}}, value_of(*stream.counters));
    std::move(family).append_to(families);
  };
  per_stream(Family::counter("fastlogd_sync_errors_total",
                             "fdatasync calls that failed; each is final for its segment."),
             [](const auto& c) { return c.sync_errors.value(); });
  per_stream(Family::counter("fastlogd_sync_seconds_total", "Time spent in fdatasync."), [](const auto& c) {
    return seconds(static_cast<std::int64_t>(c.sync_duration.sum_nanos.value()));
  });
  per_stream(
      Family::gauge("fastlogd_last_sync_seconds", "Duration of the last fdatasync."),
      [](const auto& c) { return seconds(c.sync_duration.last_nanos.load(std::memory_order_relaxed)); });
  per_stream(
      Family::gauge("fastlogd_sync_waiting_records",
                    "Records that shall be durable at once and have neither become so nor been refused."),
      [](const auto& c) {
        const std::uint64_t settled = c.sync_wishes_settled.value();  // first: it never passes the other
        return c.sync_wishes.value() - settled;
      });
  per_stream(Family::gauge("fastlogd_store_failed",
                           "1 after a sync or a store has failed, until the log is durable again."),
             [](const auto& c) { return c.store_failed.load(std::memory_order_relaxed) ? 1 : 0; });
  auto durations = Family::histogram("fastlogd_sync_duration_seconds", "How long fdatasync took.");
  for (const Stream& stream : streams) {
    durations.observed({{"stream", stream.name}}, buckets_of(stream.counters->sync_duration));
  }
  std::move(durations).append_to(families);
}

void Registry::Collector::collect_text_files(Families& families) const {
  for (const auto& metric : kTextFileMetrics) {
    std::map<std::string, std::uint64_t> sums;
    for (const TextFile& file : text_files) sums[file.stream] += (*file.counters.*metric.counter).value();
    auto family = Family::counter(metric.name, metric.help);
    for (const auto& [stream, value] : sums) family.sample({{"stream", stream}}, value);
    std::move(family).append_to(families);
  }
  // A text file that a reload replaced has no lag any more: the newest of each stream speaks.
  std::map<std::string, const follow::TextFileCounters*> newest;
  for (const TextFile& file : text_files) newest[file.stream] = file.counters.get();
  auto lag = Family::gauge("fastlogd_text_lag_bytes", "Log bytes not yet in the text file.");
  auto failing =
      Family::gauge("fastlogd_text_failing", "1 while an error keeps the text file from going on.");
  for (const auto& [stream, counters] : newest) {
    lag.sample({{"stream", stream}}, counters->lag_bytes.load(std::memory_order_relaxed));
    failing.sample({{"stream", stream}}, counters->failing.load(std::memory_order_relaxed) ? 1 : 0);
  }
  std::move(lag).append_to(families);
  std::move(failing).append_to(families);
}

void Registry::Collector::collect_config(Families& families) const {
  if (!config) return;
  const auto add = [&](Family family, auto value) {
    family.sample({}, value);
    std::move(family).append_to(families);
  };
  add(Family::counter("fastlogd_config_reload_success_total", "Reloads that were applied."),
      config->reload_success.value());
  add(Family::counter("fastlogd_config_reload_failure_total", "Reloads that were refused as a whole."),
      config->reload_failure.value());
  add(Family::gauge("fastlogd_config_last_reload_successful", "1 if the last reload was applied."),
      config->last_reload_successful.load(std::memory_order_relaxed) ? 1 : 0);
  add(Family::gauge("fastlogd_config_generation", "Number of the configuration in force, from 1."),
      config->generation.load(std::memory_order_relaxed));
  add(Family::gauge("fastlogd_config_last_reload_success_timestamp_seconds",
                    "When the configuration in force was applied, since the epoch; at first the start."),
      seconds(config->last_reload_success_time_ns.load(std::memory_order_relaxed)));
}

}  // namespace fastlogd::metrics
