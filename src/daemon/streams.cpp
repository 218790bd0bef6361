#include "daemon/streams.hpp"

#include <system_error>
#include <utility>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"

namespace fastlogd::daemon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTextFileGoodbye{1};  // for a text file that a reload takes away

Error in_stream(const std::string& name, const Error& error) {
  return Error{error.code, "stream " + name + ": " + error.context};
}

std::string prepare_error(const append::AppendCounters& counters) {
  if (!counters.disk_full.load(std::memory_order_acquire)) return {};
  return std::system_category().message(counters.prepare_error.load(std::memory_order_relaxed));
}

/// Of a text file that is no more; its thread has ended. The totals stay.
void forget_trouble(follow::TextFileCounters& counters) {
  counters.failing.store(false, std::memory_order_relaxed);
  counters.lag_bytes.store(0, std::memory_order_relaxed);
}

std::int64_t sync_seconds(const append::AppendCounters& counters) {
  const std::int64_t began = counters.sync_began_ns.load(std::memory_order_relaxed);
  return began == 0 ? 0 : (monotonic_ns() - began) / kNanosPerSecond;
}

}  // namespace

const char* durability_name(append::DurabilityMode mode) {
  switch (mode) {
    case append::DurabilityMode::none:
      return "none";
    case append::DurabilityMode::interval:
      return "interval";
    case append::DurabilityMode::group:
      return "group";
    case append::DurabilityMode::dax:
      return "dax";
  }
  return "unknown";
}

/// Members are ordered so that the follower ends before what it refers to.
struct Streams::TextFile {
  SnapshotBox<follow::TextFileOptions> options;
  std::shared_ptr<follow::TextFileCounters> counters = std::make_shared<follow::TextFileCounters>();
  follow::TextFollower follower;

  TextFile(const config::StreamConfig& stream, FileSystem& files)
      : options(std::make_shared<const follow::TextFileOptions>(*stream.text)),
        follower({stream.store.name, stream.store.directory, stream.store.segment_bytes}, options, *counters,
                 files) {}
};

struct Streams::Stream {
  config::StreamConfig config;  ///< in force
  std::shared_ptr<append::StreamStore> store;
  std::unique_ptr<TextFile> text;
};

Streams::Streams(FileSystem& files, metrics::Registry& metrics) : files_(files), metrics_(metrics) {}
Streams::~Streams() = default;

Result<std::unique_ptr<Streams>> Streams::open(const config::Config& config, FileSystem& files,
                                               metrics::Registry& metrics,
                                               const std::function<void()>& gave_up) {
  std::unique_ptr<Streams> opened(new Streams(files, metrics));
  for (const config::StreamConfig& stream : config.streams) {
    auto store = append::StreamStore::open(std::make_shared<const append::StreamOptions>(stream.store),
                                           {files, config.daemon.runtime_directory, gave_up});
    if (!store) return in_stream(stream.store.name, store.error());
    if (const append::StoreStatus status = (*store)->status(); status.control_moved) {
      diag::info("stream {}: {} is not on tmpfs; the control file is {}", stream.store.name,
                 config.daemon.runtime_directory, status.control_path);
    }
    auto entry = std::make_unique<Stream>();
    entry->config = stream;
    entry->store = std::move(*store);
    // The counters live in the store: a share of them is a share of it.
    metrics.add_stream(
        stream.store.name, [shared = entry->store] { return mode_in_force(shared->status()); },
        {entry->store, &entry->store->counters()}, findings(*entry->store));
    opened->streams_.emplace(stream.store.name, std::move(entry));
  }
  return opened;
}

void Streams::attach(ingest::FrontEnd& front_end) {
  for (auto& [name, stream] : streams_) {
    for (const auto& end : front_end.rings(name)) {
      stream->store->attach({end.ring, end.loss, end.space, end.progress, end.acks});
    }
    front_end.set_data_signal(name, stream->store->data_signal());
    front_end.set_stream_progress(name, stream->store->progress());
    front_end.set_known_numbers(name, stream->store->recovery().clients);
  }
}

void Streams::start() {
  for (auto& [name, stream] : streams_) stream->store->start();
}

Result<> Streams::make_text_file(const config::StreamConfig& stream) {
  const auto made = follow::make_text_file(*stream.text, files_);
  if (!made) return in_stream(stream.store.name, made.error());
  if (*made) made_.push_back(stream.text->path);
  return {};
}

Result<std::unique_ptr<Streams::TextFile>> Streams::start_text_file(const config::StreamConfig& stream) {
  if (auto made = make_text_file(stream); !made) return made.error();
  try {
    auto text = std::make_unique<TextFile>(stream, files_);
    text->follower.start_held();
    return text;
  } catch (const std::system_error& error) {  // std::thread: no more threads
    return Error{error.code(), "stream " + stream.store.name + ": starting the text file's thread"};
  }
}

Result<> Streams::prepare(const config::Config& next) {
  for (const auto& [name, stream] : streams_) {
    const config::StreamConfig* const wanted = next.find_stream(name);
    if (wanted == nullptr || !wanted->text) continue;
    if (!stream->text) {
      auto started = start_text_file(*wanted);
      if (!started) {
        discard();
        return started.error();
      }
      prepared_[name] = std::move(*started);
    } else if (wanted->text->path != stream->config.text->path) {
      if (auto made = make_text_file(*wanted); !made) {
        discard();
        return made.error();
      }
    }
  }
  return {};
}

void Streams::commit(const config::Config& next) {
  for (auto& [name, stream] : streams_) {
    const config::StreamConfig* const wanted = next.find_stream(name);
    if (wanted == nullptr) continue;  // only a restart removes a stream
    if (wanted->store != stream->config.store) {
      stream->store->apply(std::make_shared<const append::StreamOptions>(wanted->store));
    }
    if (const auto prepared = prepared_.find(name); prepared != prepared_.end()) {
      stream->text = std::move(prepared->second);
      stream->text->follower.go();
      metrics_.add_text_file(name, stream->text->counters);
    } else if (stream->text && !wanted->text) {
      (void)stream->text->follower.stop(Clock::now() + kTextFileGoodbye);
      forget_trouble(*stream->text->counters);
      stream->text.reset();
    } else if (stream->text && wanted->text != stream->config.text) {
      stream->text->options.publish(std::make_shared<const follow::TextFileOptions>(*wanted->text));
    }
    stream->config = *wanted;
  }
  prepared_.clear();
  made_.clear();
}

void Streams::discard() {
  prepared_.clear();
  for (const std::string& path : made_) (void)files_.unlink(path);
  made_.clear();
}

void Streams::stop(Clock::time_point deadline) {
  const auto left = [&] {
    return std::max<Clock::duration>(deadline - Clock::now(), std::chrono::milliseconds(1));
  };
  for (auto& [name, stream] : streams_) stream->store->stop(left());
  for (auto& [name, stream] : streams_) {
    if (!stream->text) continue;
    if (!stream->text->follower.stop(Clock::now() + left())) {
      diag::warning("stream {}: the text file is behind; it goes on from there after the next start", name);
    }
  }
}

std::shared_ptr<append::StreamStore> Streams::find(std::string_view name) const {
  const auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : found->second->store;
}

bool Streams::rotate(std::string_view name) {
  const auto found = streams_.find(name);
  if (found == streams_.end()) return false;
  found->second->store->rotate();
  if (found->second->text) found->second->text->follower.rotate();
  return true;
}

std::vector<std::string> Streams::names() const {
  std::vector<std::string> names;
  names.reserve(streams_.size());
  for (const auto& [name, stream] : streams_) names.push_back(name);
  return names;
}

std::vector<Condition::Stream> Streams::conditions() const {
  std::vector<Condition::Stream> conditions;
  for (const auto& [name, stream] : streams_) {
    const append::AppendCounters& counters = stream->store->counters();
    conditions.push_back(
        {.name = name,
         .store_failed = counters.store_failed.load(std::memory_order_relaxed),
         .prepare_error = prepare_error(counters),
         .active_removed = counters.active_removed.load(std::memory_order_relaxed),
         .text_failing = stream->text && stream->text->counters->failing.load(std::memory_order_relaxed),
         .sync_seconds = sync_seconds(counters),
         .fail_overs = counters.fail_overs.value(),
         .unknown_records = counters.unknown_durability.value(),
         .damage_found = findings(*stream->store).damage_notes});
  }
  return conditions;
}

void Streams::observe(VitalSigns& signs, VitalSigns::Clock::time_point now) const {
  for (const auto& [name, stream] : streams_)
    signs.observe("append " + name, stream->store->duty_cycles(), now);
}

metrics::StartFindings Streams::findings(const append::StreamStore& store) {
  metrics::StartFindings found;
  for (const segment::RecoveryNote& note : store.recovery().notes) {
    ++found.notes;
    if (note.damage) ++found.damage_notes;
  }
  return found;
}

metrics::StreamMode Streams::mode_in_force(const append::StoreStatus& status) {
  return {durability_name(status.durability), std::string(status.write), status.huge_pages ? "2MiB" : "4KiB"};
}

}  // namespace fastlogd::daemon
