#include "append/stream_store.hpp"

#include <fmt/format.h>

#include "append/active_mapping.hpp"
#include "append/housekeeper.hpp"
#include "append/mapping_facts.hpp"
#include "append/populator.hpp"
#include "append/sync_thread.hpp"
#include "base/diagnostics.hpp"
#include "segment/control_file.hpp"
#include "segment/disk_check.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::append {
namespace {

constexpr mode_t kDirectoryMode = 0750;

LogStart log_start(const segment::RecoveryReport& recovered) {
  return LogStart{.next_sequence = recovered.next_sequence,
                  .epoch = recovered.epoch,
                  .previous_uuid = recovered.previous_uuid,
                  .previous_end_offset = recovered.previous_end_offset,
                  .order = recovered.order,
                  .gaps = recovered.gaps,
                  .clients = recovered.clients};
}

Result<std::unique_ptr<Doorbell>> make_doorbell() {
  auto signal = ring::WakeSignal::create();
  if (!signal) return signal.error();
  return std::make_unique<Doorbell>(std::move(*signal));
}

void report(const std::string& directory, const std::vector<segment::RecoveryNote>& notes) {
  for (const segment::RecoveryNote& note : notes) {
    diag::log(note.damage ? diag::Level::error : diag::Level::warning, "recovery of {}: {}: {}", directory,
              note.file, note.text);
  }
}

/// Where records may have been acknowledged as durable, what the last run left is first held against the disk.
Result<segment::RecoveryReport> recover(FileSystem& files, const StreamOptions& options,
                                        const segment::DirectoryLock& lock) {
  segment::DiskCheck check;
  if (options.durability.mode != DurabilityMode::none) {
    check = segment::confirm_on_disk(files, options.directory, segment::current_boot_id());
  }
  report(options.directory, check.notes);
  auto recovered = segment::recover(files, options.directory, lock.log_uuid());
  if (!recovered) return recovered;
  report(options.directory, recovered->notes);
  recovered->notes.insert(recovered->notes.begin(), check.notes.begin(), check.notes.end());
  if (check.unknown_from && check.unknown_from->value < recovered->next_sequence) {
    recovered->gaps.push_back({.reason = ingress::LossReason::durability_unknown,
                               .first = *check.unknown_from,
                               .last = Sequence{recovered->next_sequence - 1},
                               .to_ns = realtime_ns()});
    recovered->clients = {};  // they send again: twice is better than never
  }
  return recovered;
}

/// What an acknowledgement waits for: without a MAP_SYNC mapping what was asked to be dax is synced as a group is.
DurabilityMode in_force(DurabilityMode wanted, const LiveSegment* active) {
  if (wanted != DurabilityMode::dax || active == nullptr) return wanted;
  return active->file.method == segment::WriteMethod::dax ? wanted : DurabilityMode::group;
}

}  // namespace

/// Members are ordered so that what others refer to is destroyed last.
class StreamStore::Parts {
 public:
  Parts(std::shared_ptr<const StreamOptions> first, FileSystem& file_system,
        segment::DirectoryLock directory_lock, segment::ControlWriter control_writer,
        segment::RecoveryReport report)
      : name(first->name),
        files(file_system),
        lock(std::move(directory_lock)),
        control(std::move(control_writer)),
        recovered(std::move(report)),
        options(std::move(first)) {
    progress.set_durable(control.durable());
  }

  ~Parts() {
    if (!ended) control.unlink_files();  // opened and never stopped: nobody else would
  }

  /// LOCK is a courtesy to readers and to the next start: a disk that can't take it now is no reason not to log.
  Result<> describe() {
    return lock.describe(files, control.control_path(), control.wait_path(), recovered.log_uuid);
  }

  Result<> build(const Environment& environment) {
    auto described = describe();
    if (!described) {
      if (!is_disk_trouble(described.error())) return described;
      diag::warning("stream {}: {}; until it can be written nobody outside the daemon finds the running log",
                    name, described.error().message());
    }
    auto house_bell = make_doorbell();
    auto ahead_bell = make_doorbell();
    auto data = ring::WakeSignal::create();
    auto sync_bell = ring::WakeSignal::create();
    if (!sync_bell) return sync_bell.error();
    if (!house_bell) return house_bell.error();
    if (!ahead_bell) return ahead_bell.error();
    if (!data) return data.error();
    housekeeper_bell = std::move(*house_bell);
    populator_bell = std::move(*ahead_bell);
    demand = std::make_unique<SyncDemand>(std::move(*sync_bell));
    appender = std::make_unique<Appender>(
        Appender::Partners{files, environment.persist, options, control, supply, *housekeeper_bell,
                           *populator_bell, *demand, fail_over, counters, appender_cpu},
        log_start(recovered), std::move(*data));
    housekeeper = std::make_unique<Housekeeper>(
        Housekeeper::Partners{files, options, control, supply, live, *housekeeper_bell, *demand, counters,
                              appender_cpu, environment.populate_ahead,
                              described ? std::function<Result<>()>() : [this] { return describe(); }},
        recovered, segment::current_boot_id());
    sync = std::make_unique<SyncThread>(
        SyncThread::Partners{files, options, live, control, *demand, fail_over, progress,
                             appender->data_signal(), environment.gave_up, counters},
        recovered.next_sequence);
    populator = std::make_unique<Populator>(live, control, *populator_bell, appender_cpu);
    own_thread = environment.own_thread;
    populate_ahead = environment.populate_ahead;
    if (auto done = housekeeper->prepare_first(); !done) return done;
    report_dax();
    return {};
  }

  /// Once, at start: what was asked and what is in force.
  void report_dax() const {
    const auto first = live.oldest();
    if (options.load()->durability.mode != DurabilityMode::dax || !first) return;
    const auto directory = options.load()->directory;
    if (first->file.method != segment::WriteMethod::dax) {
      diag::warning(
          "stream {}: durability dax is not possible in {}: no MAP_SYNC there; group is in force, every "
          "acknowledgement waits for fdatasync",
          name, directory);
      return;
    }
    diag::info("stream {}: durability dax is in force in {}: MAP_SYNC{}, {} and sfence", name, directory,
               mapping_facts(first->file.mapping.data()).map_sync ? "" : " (VmFlags do not show sf)",
               name_of(best_write_back()));
  }

  std::string name;
  FileSystem& files;
  segment::DirectoryLock lock;
  segment::ControlWriter control;
  segment::RecoveryReport recovered;
  SnapshotBox<StreamOptions> options;
  AppendCounters counters;
  StreamProgress progress;
  LiveSegments live;
  ActiveMapping facts;
  SegmentSupply supply;
  FailOver fail_over;
  AppenderCpu appender_cpu;
  std::unique_ptr<SyncDemand> demand;
  std::unique_ptr<Doorbell> housekeeper_bell;
  std::unique_ptr<Doorbell> populator_bell;
  std::unique_ptr<Appender> appender;
  std::unique_ptr<Housekeeper> housekeeper;
  std::unique_ptr<SyncThread> sync;
  std::unique_ptr<Populator> populator;
  bool own_thread = true;
  bool populate_ahead = true;
  bool running = false;
  bool ended = false;
};

StreamStore::StreamStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

StreamStore::~StreamStore() {
  if (parts_->running) stop(std::chrono::seconds(1));
}

Result<std::unique_ptr<StreamStore>> StreamStore::open(std::shared_ptr<const StreamOptions> options,
                                                       const Environment& environment) {
  FileSystem& files = environment.files;
  const std::string& directory = options->directory;
  if (auto done = files.make_directories(directory, kDirectoryMode); !done) return done.error();
  auto lock = segment::DirectoryLock::acquire(files, directory);
  if (!lock) return lock.error();
  auto recovered = recover(files, *options, *lock);
  if (!recovered) return recovered.error();
  auto control = segment::ControlWriter::create(environment.runtime_directory, options->name,
                                                {.log_uuid = recovered->log_uuid,
                                                 .boot_id = segment::current_boot_id(),
                                                 .epoch = recovered->epoch,
                                                 .segment_bytes = options->segment_bytes});
  if (!control) return control.error();
  // Nothing of this run is committed yet; everything before it is.
  control->set_committed(LogPosition::of(recovered->next_index, 0));
  control->set_durable(LogPosition::of(recovered->next_index, 0));
  control->set_oldest(recovered->oldest);
  auto parts = std::make_unique<Parts>(std::move(options), files, std::move(*lock), std::move(*control),
                                       std::move(*recovered));
  if (auto done = parts->build(environment); !done) return done.error();
  return std::unique_ptr<StreamStore>(new StreamStore(std::move(parts)));
}

void StreamStore::attach(const RingEnd& end) {
  parts_->appender->attach(end);
  if (end.acks != nullptr) parts_->sync->acknowledge_to(*end.acks);
}

void StreamStore::start() {
  (void)parts_->appender->ensure_segment();  // its OPEN is published before anybody is told that the log runs
  parts_->control.set_state(segment::LogState::running);
  parts_->housekeeper->start(parts_->name);
  if (parts_->populate_ahead) parts_->populator->start(parts_->name);
  parts_->sync->start(parts_->name);
  if (parts_->own_thread) parts_->appender->start(parts_->name);
  parts_->running = true;
}

void StreamStore::apply(std::shared_ptr<const StreamOptions> options) {
  parts_->options.publish(std::move(options));
  parts_->demand->look();
  parts_->housekeeper_bell->ring();
}

void StreamStore::stop(std::chrono::nanoseconds bound) {
  if (!parts_->running) return;
  parts_->running = false;
  parts_->appender->stop(monotonic_ns() + bound.count());
  parts_->populator->stop();
  parts_->sync->stop();
  parts_->housekeeper->stop();
  parts_->control.set_state(segment::LogState::stopped);
  parts_->control.unlink_files();
  parts_->ended = true;
}

std::size_t StreamStore::do_work() {
  return parts_->appender->do_work();
}
LogPosition StreamStore::committed() const {
  return parts_->control.committed();
}
LogPosition StreamStore::durable() const {
  return parts_->control.durable();
}
ring::WakeSignal& StreamStore::data_signal() {
  return parts_->appender->data_signal();
}
const StreamProgress& StreamStore::progress() const {
  return parts_->progress;
}
Result<> StreamStore::sync(std::chrono::nanoseconds timeout) {
  return parts_->sync->sync(timeout);
}
void StreamStore::rotate() {
  parts_->appender->request_roll();
}
const AppendCounters& StreamStore::counters() const {
  return parts_->counters;
}
const segment::RecoveryReport& StreamStore::recovery() const {
  return parts_->recovered;
}
std::shared_ptr<const StreamOptions> StreamStore::options() const {
  return parts_->options.load();
}
std::uint64_t StreamStore::duty_cycles() const {
  return parts_->counters.duty_cycles.value();
}

StoreStatus StreamStore::status() const {
  StoreStatus status{.committed = parts_->control.committed(),
                     .durable = parts_->control.durable(),
                     .oldest = parts_->control.oldest(),
                     .control_path = parts_->control.control_path(),
                     .control_moved = parts_->control.moved()};
  const auto active = parts_->live.find(status.committed.segment());
  status.durability = in_force(parts_->options.load()->durability.mode, active.get());
  if (active) {
    const MappingFacts facts = parts_->facts.of(*active);
    status.write = segment::name_of(active->file.method);
    status.huge_pages = facts.huge_pages;
    status.map_sync = facts.map_sync;
    status.populated_ahead =
        active->file.mapping && active->populated_to.load(std::memory_order_relaxed) != 0;
  }
  return status;
}

}  // namespace fastlogd::append
