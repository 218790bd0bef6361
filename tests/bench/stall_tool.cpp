// How long a record waits until it is stored, and until it is acknowledged, at a set rate, with everything going on that
// a store does: syncs, rolls, seals, retention.
//
// Batches are due at fixed times (every 250 us by default; at 200,000 records/s 50 records each). Every latency counts
// from the time the batch was *due*, not from when the sender got to it: what a stall keeps waiting is charged to it,
// also in the batches behind. One thread is sender and appender in one, as in a daemon whose io thread has just handed
// over: it puts the batch into the ring and runs the appender's duty cycle until the batch is published. So the figures
// hold what the store costs and no wake-up of a second thread. It sleeps until 60 us before the next batch is due and
// spins from there: on two cores one is left to the sync thread, the housekeeper and the populator.
//
//   store     due until published: readable
//   ack       due until durable (fdatasync has returned, or the lines are written back); as looked at after every
//             batch and while spinning, so to within one period
//   late      due until the sender got to it, when the batch before was done in time: what the machine itself adds
//
// Prints one JSON object.

#include <sched.h>
#include <time.h>

#include <deque>
#include <map>

#include <CLI/CLI.hpp>

#include "bench/corpus.hpp"
#include "bench/measure.hpp"
#include "bench/sockets.hpp"
#include "bench/store_under_test.hpp"

namespace fastlogd::bench {
namespace {

using append::DurabilityMode;

struct Options {
  std::string directory;
  std::string corpus;
  double rate = 200'000;
  double seconds = 20;
  double warm_up = 2;
  std::int64_t period_us = 250;
  std::size_t record_bytes_min = 128;
  std::size_t record_bytes_max = 256;
  std::uint64_t segment_bytes = 64 * limits::kMiB;
  std::uint64_t keep_bytes = 512 * limits::kMiB;
  append::WriteBy write = append::WriteBy::mapping;
  bool populate = true;
  bool realtime = false;
  std::string sync = "none";
};

append::Durability durability_of(const std::string& sync) {
  if (sync == "none") return {.mode = DurabilityMode::none};
  if (sync == "group") return {.mode = DurabilityMode::group};
  if (sync == "dax") return {.mode = DurabilityMode::dax};
  const auto interval = sync == "10ms" ? std::chrono::milliseconds(10) : std::chrono::milliseconds(1000);
  return {.mode = DurabilityMode::interval, .interval = interval};
}

/// A hundred batches made beforehand: records of varying length, cut from the corpus.
class Batches {
 public:
  Batches(const Options& options, std::size_t records) {
    const auto lines = read_lines(options.corpus);
    std::size_t line = 0;
    std::uint64_t random = 1;
    for (int i = 0; i < 100; ++i) {
      Batch batch;
      for (std::size_t j = 0; j < records; ++j) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        const std::size_t span = options.record_bytes_max - options.record_bytes_min + 1;
        const std::size_t bytes = options.record_bytes_min + (random >> 33) % span;
        std::string text;
        while (text.size() < bytes) text += lines[line++ % lines.size()];
        batch.bytes.append(text, 0, bytes);
        batch.lengths.push_back(static_cast<std::uint32_t>(bytes));
      }
      batches_.push_back(std::move(batch));
    }
  }
  struct Batch {
    std::string bytes;
    std::vector<std::uint32_t> lengths;
  };
  [[nodiscard]] const Batch& at(std::uint64_t number) const { return batches_[number % batches_.size()]; }

 private:
  std::vector<Batch> batches_;
};

/// Sleeps most of the time until `due_ns`, then spins; `meanwhile` is called while spinning.
template <class Meanwhile>
void wait_until(std::int64_t due_ns, Meanwhile meanwhile) {
  constexpr std::int64_t kSpin = 60'000;
  if (monotonic_ns() < due_ns - kSpin) {
    const std::int64_t wake_ns = due_ns - kSpin;
    const timespec wake{.tv_sec = wake_ns / kNanosPerSecond, .tv_nsec = wake_ns % kNanosPerSecond};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nullptr) == EINTR) continue;
  }
  while (monotonic_ns() < due_ns) meanwhile();
}

/// Batches that are stored and not yet durable.
class Pending {
 public:
  explicit Pending(std::size_t capacity) : acks_(capacity) {}
  void add(LogPosition end, std::int64_t due_ns) { waiting_.push_back({end, due_ns}); }
  void look(LogPosition durable) {
    if (waiting_.empty() || waiting_.front().end > durable) return;
    const std::int64_t now_ns = monotonic_ns();
    while (!waiting_.empty() && waiting_.front().end <= durable) {
      acks_.add(static_cast<std::uint64_t>(now_ns - waiting_.front().due_ns));
      waiting_.pop_front();
    }
  }
  [[nodiscard]] Samples& acks() { return acks_; }

 private:
  struct Waiting {
    LogPosition end;
    std::int64_t due_ns;
  };
  std::deque<Waiting> waiting_;
  Samples acks_;
};

/// The sender alone: the store's threads stay what they are.
void become_realtime() {
  const sched_param parameters{.sched_priority = 1};
  if (::sched_setscheduler(0, SCHED_FIFO, &parameters) != 0) throw_errno("sched_setscheduler");
}

append::StreamOptions stream_options(const Options& options) {
  append::StreamOptions stream;
  stream.directory = options.directory + "/log";
  stream.segment_bytes = options.segment_bytes;
  stream.durability = durability_of(options.sync);
  stream.retention = {.bytes_max = options.keep_bytes, .keep_free = 0};
  stream.write = options.write;
  return stream;
}

void print_result(const Options& options, StoreUnderTest& under_test, std::uint64_t records, double seconds,
                  double cpu_before, Samples& stores, Samples& acks, Samples& late) {
  const auto& counters = under_test.store().counters();
  const auto status = under_test.store().status();
  fmt::print(R"({{"records": {}, "seconds": {:.6f}, {}, "call_ns": {}, "ack_ns": {}, "late_ns": {}, )"
             R"("store_histogram": {}, "ack_histogram": {}, "segments": {}, "sealed": {}, "removed": {}, )"
             R"("syncs": {}, "segment_waits": {}, "huge_pages": {}, "write": "{}", "populated": {}}})"
             "\n",
             records, seconds, usage_json(cpu_before), stores.json(), acks.json(), late.json(),
             stores.histogram_json(), acks.histogram_json(), counters.rolls.value() + 1,
             counters.segments_sealed.value(), counters.segments_removed.value(), counters.syncs.value(),
             counters.waits_for_segment.value(), status.huge_pages, status.write,
             options.populate && status.populated_ahead);
}

void run(const Options& options) {
  const std::int64_t period_ns = options.period_us * 1000;
  const auto per_batch = static_cast<std::size_t>(options.rate * static_cast<double>(period_ns) * 1e-9 + 0.5);
  const Batches batches(options, per_batch);
  StoreUnderTest under_test(stream_options(options),
                            {.own_thread = false, .populate_ahead = options.populate});
  append::StreamStore& store = under_test.store();
  const auto count = [&](double seconds) {
    return static_cast<std::uint64_t>(seconds * 1e9 / static_cast<double>(period_ns));
  };
  if (options.realtime) become_realtime();
  const std::uint64_t warm_up = count(options.warm_up);
  const std::uint64_t all = warm_up + count(options.seconds);
  Samples stores(all);
  Samples late(all);
  Pending pending(all);
  const bool acks = options.sync != "none";
  double cpu_before = 0;
  const std::int64_t started_ns = monotonic_ns() + 10 * kNanosPerMilli;
  std::int64_t done_ns = 0;
  for (std::uint64_t i = 0; i < all; ++i) {
    if (i == warm_up) cpu_before = cpu_seconds();
    const std::int64_t due_ns = started_ns + static_cast<std::int64_t>(i) * period_ns;
    const bool in_time = done_ns < due_ns;
    wait_until(due_ns, [&] { pending.look(store.durable()); });
    const std::int64_t began_ns = monotonic_ns();
    const Batches::Batch& batch = batches.at(i);
    under_test.send(batch.bytes, batch.lengths);
    under_test.work_until_stored((i + 1) * per_batch);
    done_ns = monotonic_ns();
    if (i < warm_up) continue;
    stores.add(static_cast<std::uint64_t>(done_ns - due_ns));
    if (in_time) late.add(static_cast<std::uint64_t>(began_ns - due_ns));
    if (acks) pending.add(store.committed(), due_ns);
    pending.look(store.durable());
  }
  const double seconds = seconds_since(started_ns + static_cast<std::int64_t>(warm_up) * period_ns);
  if (acks) store.sync(std::chrono::seconds(30)).value();
  pending.look(store.durable());
  print_result(options, under_test, (all - warm_up) * per_batch, seconds, cpu_before, stores, pending.acks(),
               late);
  under_test.stop();
}

int main_of(int argc, char** argv) {
  CLI::App app{"How long a record waits until it is stored and acknowledged, at a set rate"};
  Options options;
  const std::map<std::string, append::WriteBy> ways{{"mapping", append::WriteBy::mapping},
                                                    {"small-pages", append::WriteBy::small_pages},
                                                    {"pwrite", append::WriteBy::pwrite}};
  app.add_option("--directory", options.directory, "an empty directory on the file system to measure")
      ->required();
  app.add_option("--corpus", options.corpus, "file whose lines make the records")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--write", options.write, "mapping, small-pages or pwrite")
      ->transform(CLI::CheckedTransformer(ways));
  app.add_option("--sync", options.sync, "none, 1s, 10ms, group or dax")
      ->check(CLI::IsMember({"none", "1s", "10ms", "group", "dax"}));
  app.add_option("--rate", options.rate, "records per second")->check(CLI::Range(1000, 10'000'000));
  app.add_option("--seconds", options.seconds, "how long it is measured")->check(CLI::Range(0.1, 3600.0));
  app.add_option("--warm-up", options.warm_up, "seconds before that are not");
  app.add_option("--period-us", options.period_us, "time between two batches")
      ->check(CLI::Range(10, 100'000));
  app.add_option("--record-bytes-min", options.record_bytes_min)->check(CLI::Range(8, 65536));
  app.add_option("--record-bytes-max", options.record_bytes_max)->check(CLI::Range(8, 65536));
  app.add_option("--segment-bytes", options.segment_bytes)->transform(CLI::AsSizeValue(false));
  app.add_option("--keep-bytes", options.keep_bytes, "retention")->transform(CLI::AsSizeValue(false));
  app.add_flag("--realtime", options.realtime,
               "the sender has SCHED_FIFO: other processes' turns on the processor are left out");
  app.add_flag("!--no-populate", options.populate, "no helper thread takes the page faults");
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
}

}  // namespace
}  // namespace fastlogd::bench

int main(int argc, char** argv) {
  try {
    return fastlogd::bench::main_of(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "stall_tool: {}\n", error.what());
    return 1;
  }
}
