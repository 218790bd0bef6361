#include "daemon/reload.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"
#include "daemon/service_manager.hpp"
#include "record/source.hpp"

namespace fastlogd::daemon {
namespace {

void log_result(const ReloadResult& result) {
  for (const std::string& problem : result.problems) diag::error("configuration refused: {}", problem);
  if (!result.ok) return;
  diag::info("configuration generation {} is in force", result.generation);
  for (const std::string& change : result.changes) diag::info("changed {}", change);
  for (const std::string& change : result.restart_needed) diag::warning("needs a restart: {}", change);
}

}  // namespace

Reload::Reload(config::Reloader& reloader, const config::ConfigCounters& counters,
               ingest::FrontEnd& front_end, Streams& streams, metrics::Registry& metrics)
    : reloader_(reloader), counters_(counters), front_end_(front_end), streams_(streams), metrics_(metrics) {}

ReloadResult Reload::run(config::Trigger trigger) {
  const config::ReloadOutcome outcome = reloader_.reload(trigger);
  if (outcome.kind == config::ReloadOutcome::Kind::unchanged) {
    ReloadResult nothing = describe(outcome);
    nothing.nothing_new = true;
    return nothing;
  }
  notify_reloading();
  ReloadResult result = describe(outcome);
  if (outcome.kind == config::ReloadOutcome::Kind::ready) {
    if (const auto applied = apply(*outcome.candidate)) {
      reloader_.committed();
    } else {
      reloader_.failed(applied.error().message());
      result.ok = false;
      result.problems.push_back(reloader_.main_path() + ": " + applied.error().message());
    }
  }
  result.generation = counters_.generation.load(std::memory_order_relaxed);
  log_result(result);
  notify_ready(summary());
  return result;
}

Result<> Reload::apply(const config::Config& next) {
  auto listeners = front_end_.prepare(next.listeners);
  if (!listeners) return listeners.error();
  if (auto prepared = streams_.prepare(next); !prepared) return prepared.error();
  // Nothing below can fail.
  front_end_.apply_limits(next.limits);
  front_end_.commit(std::move(*listeners));
  streams_.commit(next);
  register_listeners(front_end_, metrics_);
  diag::set_level(next.daemon.diagnostics.level);
  return {};
}

ReloadResult Reload::dry_run() const {
  return describe(reloader_.dry_run());
}

ReloadResult Reload::describe(const config::ReloadOutcome& outcome) const {
  ReloadResult result;
  result.ok = outcome.ok();
  result.generation = counters_.generation.load(std::memory_order_relaxed);
  for (const config::Problem& problem : outcome.problems) result.problems.push_back(format_problem(problem));
  for (config::Change change : outcome.changes) {
    auto& list = change.applies == config::Applies::live ? result.changes : result.restart_needed;
    change.applies = config::Applies::live;  // the list's name says it already
    list.push_back(format_change(change));
  }
  return result;
}

std::string Reload::summary() const {
  const config::Config& running = *reloader_.running();
  const auto plural = [](std::size_t n) { return n == 1 ? "" : "s"; };
  return fmt::format("generation {}, {} stream{}, {} listener{}",
                     counters_.generation.load(std::memory_order_relaxed), running.streams.size(),
                     plural(running.streams.size()), running.listeners.size(),
                     plural(running.listeners.size()));
}

std::string transport_label(ingest::ListenerTransport transport) {
  switch (transport) {
    case ingest::ListenerTransport::unix_stream:
      return std::string(transport_name(Transport::unix_stream));
    case ingest::ListenerTransport::unix_datagram:
      return std::string(transport_name(Transport::unix_datagram));
    case ingest::ListenerTransport::tcp:
      return std::string(transport_name(Transport::tcp));
    case ingest::ListenerTransport::udp:
      return std::string(transport_name(Transport::udp));
  }
  return std::string(transport_name(Transport::unknown));
}

void register_listeners(const ingest::FrontEnd& front_end, metrics::Registry& metrics) {
  front_end.for_each_counters([&](const ingest::CountersEntry& entry) {
    metrics.add_listener({entry.listener, transport_label(entry.transport), entry.stream}, entry.counters);
  });
}

}  // namespace fastlogd::daemon
