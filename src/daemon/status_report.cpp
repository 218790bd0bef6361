#include "daemon/status_report.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/clock.hpp"
#include "daemon/reload.hpp"
#include "view/utf8.hpp"

namespace fastlogd::daemon {
namespace {

namespace json = boost::json;

std::string position_text(LogPosition position) {
  return fmt::format("{}:{}", position.segment(), position.offset());
}

json::array strings(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::object stream_object(const config::StreamConfig& stream, const append::StreamStore& store) {
  const append::StoreStatus status = store.status();
  const append::AppendCounters& counters = store.counters();
  const metrics::StreamMode mode = Streams::mode_in_force(status);
  return {
      {"name", stream.store.name},
      {"directory", stream.store.directory},
      {"durability", mode.durability},
      {"durability_wanted", durability_name(stream.store.durability.mode)},
      {"write", mode.write},
      {"map_sync", status.map_sync},
      {"page_size", mode.page_size},
      {"populated_ahead", status.populated_ahead},
      {"stored_records", counters.stored_records.value()},
      {"segments", counters.segments.load(std::memory_order_relaxed)},
      {"disk_bytes", counters.disk_bytes.load(std::memory_order_relaxed)},
      {"committed", position_text(status.committed)},
      {"durable", position_text(status.durable)},
      {"syncs", counters.syncs.value()},
      {"sync_errors", counters.sync_errors.value()},
      {"fail_overs", counters.fail_overs.value()},
      {"durability_unknown_records", counters.unknown_durability.value()},
      {"oldest", position_text(status.oldest)},
      {"text", stream.text ? stream.text->path : ""},
      {"control_file", status.control_path},
      {"control_file_moved", status.control_moved},
  };
}

json::array listener_rows(const StatusSources& sources) {
  json::array rows;
  for (const ingest::BoundAddress& bound : sources.front_end.bound_addresses()) {
    const ingest::ListenerOptions* const options = sources.config.find_listener(bound.listener);
    if (options == nullptr) continue;
    rows.push_back(json::object{
        {"name", bound.listener},
        {"transport", transport_label(options->transport)},
        {"address", bound.path.empty() ? fmt::format("{}:{}", bound.address, bound.port) : bound.path},
        {"stream", options->stream},
    });
  }
  return rows;
}

json::object config_object(const StatusSources& sources) {
  return {
      {"path", sources.config_path},
      {"generation", sources.condition.generation},
      {"reloads_applied", sources.condition.reloads_applied},
      {"reloads_refused", sources.condition.reloads_refused},
      {"last_error", sources.condition.config_error},
      {"restart_needed", strings(sources.restart_needed)},
  };
}

}  // namespace

std::string status_report(const StatusSources& sources) {
  const Health health = judge(sources.condition);
  const metrics::RecordBalance balance = sources.metrics.balance();
  json::array streams;
  for (const config::StreamConfig& stream : sources.config.streams) {
    if (const auto store = sources.streams.find(stream.store.name))
      streams.push_back(stream_object(stream, *store));
  }
  const json::object report = {
      {"running", true},
      {"version", FASTLOGD_VERSION},
      {"pid", ::getpid()},
      {"uptime_seconds", (monotonic_ns() - sources.started_ns) / kNanosPerSecond},
      {"health", health.word()},
      {"reasons", strings(health.reasons)},
      {"configuration", config_object(sources)},
      {"records", json::object{{"received", balance.received},
                               {"stored", balance.stored},
                               {"repeated", balance.repeated},
                               {"dropped", balance.dropped},
                               {"in_flight", balance.in_flight}}},
      {"io_threads", sources.front_end.io_threads()},
      {"open_connections", sources.front_end.open_connections()},
      {"streams", streams},
      {"listeners", listener_rows(sources)},
  };
  return view::to_valid_utf8(json::serialize(report));  // a path may be any bytes
}

}  // namespace fastlogd::daemon
