#include "append/housekeeper.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <vector>

#include "base/clock.hpp"
#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::append {
namespace {

constexpr std::int64_t kRetryInterval = 250 * kNanosPerMilli;
constexpr std::int64_t kRetentionInterval = kNanosPerSecond;
constexpr std::int64_t kCountInterval = 60 * kNanosPerSecond;
constexpr std::int64_t kBurstEnd = 250 * kNanosPerMilli;  // no segment was taken for so long
constexpr std::chrono::milliseconds kRound{250};
constexpr std::uint64_t kPopulateFirst = 16 * limits::kMiB;
constexpr std::size_t kPopulateStep = 2 * limits::kMiB;
constexpr int kTakenNumbersMax = 64;  // passed over at once

segment::WriteMethod ordinary_method(const StreamOptions& options) {
  return options.write == WriteBy::pwrite ? segment::WriteMethod::pwrite : segment::WriteMethod::mapping;
}

segment::WriteMethod wanted_method(const StreamOptions& options) {
  return options.durability.mode == DurabilityMode::dax ? segment::WriteMethod::dax
                                                        : ordinary_method(options);
}

}  // namespace

Housekeeper::Housekeeper(Partners partners, const segment::RecoveryReport& recovered, segment::Uuid boot_id)
    : partners_(partners),
      options_(partners.options),
      directory_(options_.current().directory),
      sealed_(partners.files, directory_, partners.control, partners.counters),
      request_{.directory = directory_,
               .log_uuid = recovered.log_uuid,
               .index = recovered.next_index,
               .epoch = recovered.epoch,
               .segment_bytes = options_.current().segment_bytes,
               .boot_id = boot_id,
               .method = wanted_method(options_.current()),
               .otherwise = ordinary_method(options_.current()),
               .huge_pages = options_.current().write != WriteBy::small_pages} {
  for (const segment::SegmentInfo& info : recovered.segments) sealed_.add_sealed(info, true);
}

Result<> Housekeeper::prepare_first() {
  sealed_.apply_retention(options_.current().retention, request_.segment_bytes);
  for (;;) {
    auto done = prepare_one();
    update_gauges();
    if (done || !is_disk_trouble(done.error())) return done;
    if (!make_room(done.error(), options_.current())) return {};
  }
}

void Housekeeper::start(const std::string& stream) {
  thread_ = std::thread([this, name = "fl-house-" + stream] {
    set_thread_name(name.substr(0, 15).c_str());
    run();
  });
}

void Housekeeper::stop() {
  stop_.store(true, std::memory_order_release);
  partners_.bell.ring();
  if (thread_.joinable()) thread_.join();
}

void Housekeeper::run() {
  aside_.emplace(partners_.appender);
  while (!stop_.load(std::memory_order_acquire)) {
    aside_->move();
    do_work();
    partners_.bell.wait(kRound);
  }
  seal_retired();
  remove_unused();
  update_gauges();
}

void Housekeeper::do_work() {
  // The appender must not wait: segments first, then one seal at a time with a look at the supply between.
  while (prepare_ahead()) continue;
  seal_retired();
  if (const std::int64_t now = monotonic_ns(); now >= next_retention_ns_) {
    next_retention_ns_ = now + kRetentionInterval;
    sealed_.apply_retention(options_.current().retention, unsealed_bytes());
    look_for_active();
    if (now >= next_count_ns_) {
      next_count_ns_ = now + kCountInterval;
      count_set_aside();
    }
  }
  update_gauges();
}

/// True if one more segment went into the supply, or may go now.
bool Housekeeper::prepare_ahead() {
  if (spare_ == nullptr) {
    if (partners_.live.size() >= unsealed_max() || monotonic_ns() < retry_at_ns_) return false;
    const StreamOptions& options = options_.current();
    sealed_.apply_retention(options.retention, unsealed_bytes() + request_.segment_bytes);
    if (auto done = prepare_one(); !done) return make_room(done.error(), options);
    return spare_ == nullptr;
  }
  if (!partners_.supply.put(spare_.get())) return false;
  spare_.reset();
  return true;
}

/// Where a file bears the number that is next, although the start saw none, it stays: the next start looks at it.
Result<segment::PreparedSegment> Housekeeper::prepare_next_free() {
  for (int passed_over = 0;; ++passed_over) {
    auto prepared = segment::prepare_segment(partners_.files, request_);
    const bool taken = !prepared && prepared.error().code == std::errc::file_exists;
    if (!taken || passed_over == kTakenNumbersMax) return prepared;
    diag::warning("stream {}: {} is there already and is left as it is", options_.current().name,
                  segment::segment_path(directory_, request_.index));
    ++request_.index;
  }
}

Result<> Housekeeper::prepare_one() {
  auto prepared = prepare_next_free();
  if (!prepared) return prepared.error();
  auto segment = std::make_shared<LiveSegment>();
  segment->file = std::move(*prepared);
  populate(*segment);
  ++request_.index;
  next_removal_ns_ = 0;
  partners_.live.add(segment);
  partners_.counters.segments_prepared.add();
  partners_.counters.disk_full.store(false, std::memory_order_release);
  if (!partners_.supply.put(segment.get())) spare_ = std::move(segment);
  if (partners_.describe && partners_.describe()) partners_.describe = nullptr;
  return {};
}

/// The beginning, so that the appender finds it there; with dax all of it: a fault there allocates and waits for the
/// journal (MAP_SYNC), and there is no page cache to fill up. What the kernel refuses is left to the appender's stores,
/// which are guarded: a store of this thread into a file that was cut short would end the process.
void Housekeeper::populate(LiveSegment& segment) {
  const Mapping& mapping = segment.file.mapping;
  if (!mapping)
    segment.populated_to.store(LiveSegment::kAllPopulated);  // nobody is to be rung for pages there
  if (!mapping || !partners_.populate_ahead) return;
  const bool dax = segment.file.method == segment::WriteMethod::dax;
  const std::size_t first = dax ? mapping.size() : std::min<std::size_t>(kPopulateFirst, mapping.size());
  std::size_t done = 0;
#ifdef MADV_POPULATE_WRITE
  for (; done < first; done += std::min(kPopulateStep, first - done)) {
    if (aside_) aside_->move();
    const std::size_t bytes = std::min(kPopulateStep, first - done);
    if (::madvise(mapping.data() + done, bytes, MADV_POPULATE_WRITE) != 0) break;
  }
#endif
  if (done < first) return;
  segment.populated_to.store(dax ? LiveSegment::kAllPopulated : first);
}

/// After a segment could not be prepared. True: something was deleted, try again at once. If that did not help, a reader
/// may still have open what was deleted: time first, then the next.
bool Housekeeper::make_room(const Error& error, const StreamOptions& options) {
  const std::int64_t now = monotonic_ns();
  if (is_no_room(error) && may_delete(options) && now >= next_removal_ns_ &&
      sealed_.free_up(request_.segment_bytes)) {
    next_removal_ns_ = now + kRetryInterval;
    deletion_.log(diag::Level::warning,
                  "stream {}: no room for a new segment ({}): those before {} were deleted", options.name,
                  error.message(), partners_.control.oldest().segment());
    return true;
  }
  retry_at_ns_ = now + kRetryInterval;
  partners_.counters.prepare_error.store(error.code.value(), std::memory_order_relaxed);
  partners_.counters.disk_full.store(true, std::memory_order_release);
  partners_.counters.housekeeping_errors.add();
  const char* const when = partners_.live.size() == 0  ? ""
                           : !partners_.supply.empty() ? "when those at hand are full, "
                                                       : "when the one in use is full, ";
  trouble_.log(diag::Level::error, "stream {}: no new segment: {}; {}{}", options.name, error.message(), when,
               options.when_full == WhenFull::drop_newest ? "records are dropped" : "senders wait");
  return false;
}

/// For the first segment, and for a next one while records come and none is ready: nothing that was stored is given up for
/// one that may never be needed.
bool Housekeeper::may_delete(const StreamOptions& options) const {
  if (options.when_full != WhenFull::delete_oldest) return false;
  const bool first = partners_.live.size() == 0;
  const AppendCounters& counters = partners_.counters;
  const bool wanted =
      counters.stored_records.value() > 0 || counters.store_failed.load(std::memory_order_relaxed);
  return first || (partners_.supply.empty() && wanted);
}

void Housekeeper::seal_retired() {
  for (;;) {
    const auto oldest = partners_.live.oldest();
    if (!oldest || !oldest->retired.load(std::memory_order_acquire) || !seals_now()) return;
    seal(oldest);
    retry_at_ns_ = 0;  // it may have given back space, or can be removed now
    if (!stop_.load(std::memory_order_acquire)) {
      while (prepare_ahead()) continue;
    }
  }
}

/// With a retired segment at hand, whose roll is counted by then. On a full disk only what is sealed can be given up.
bool Housekeeper::seals_now() {
  const std::int64_t now = monotonic_ns();
  if (const std::uint64_t rolls = partners_.counters.rolls.value(); rolls != rolls_seen_) {
    rolls_seen_ = rolls;
    burst_until_ns_ = now + kBurstEnd;
  }
  return now >= burst_until_ns_ || partners_.counters.disk_full.load(std::memory_order_relaxed) ||
         partners_.live.size() >= unsealed_max() || stop_.load(std::memory_order_acquire);
}

/// Small segments may be more, but none at the cost of more than half of what the stream may keep: they take their full size,
/// used or not, and what is sealed goes to make room for them. Two there must be, one to write and the next.
std::size_t Housekeeper::unsealed_max() {
  constexpr std::uint64_t kFewest = 2;
  const std::uint64_t most = request_.segment_bytes > limits::kSegmentBytesDefault
                                 ? limits::kUnsealedSegments
                                 : limits::kUnsealedSmallSegments;
  const std::uint64_t bytes_max = options_.current().retention.bytes_max;
  if (bytes_max == 0) return most;
  return std::clamp(bytes_max / (2 * request_.segment_bytes), kFewest, most);
}

/// No second try: an fdatasync that failed once may succeed without having written, and a trailer would vouch for
/// what the disk does not hold. The next start recovers the segment.
Result<> Housekeeper::sync_once(LiveSegment& segment) {
  const std::lock_guard one_at_a_time(segment.sync_mutex);
  if (segment.failed.load(std::memory_order_acquire)) {
    return Error{std::make_error_code(std::errc::io_error), "a sync or a store of it has failed before"};
  }
  if (auto done = partners_.files.sync_data(segment.file.fd.get()); !done) {
    segment.failed.store(true, std::memory_order_release);
    partners_.counters.sync_errors.add();
    return done;
  }
  segment.on_disk = true;
  return {};
}

void Housekeeper::seal(const std::shared_ptr<LiveSegment>& segment) {
  const segment::FileHeader& header = segment->file.header;
  auto done = sync_once(*segment);
  if (done) {
    // The records are on disk, and nobody who waits for them waits for this; what fails now costs the trailer alone.
    done = segment::finish_segment(partners_.files, segment->file.fd.get(), header, segment->trailer);
  }
  if (done) {
    partners_.counters.segments_sealed.add();
  } else {
    partners_.counters.housekeeping_errors.add();
    diag::error("{}: could not be sealed: {}; the next start will", segment->file.path,
                done.error().message());
  }
  const bool failed = segment->failed.load(std::memory_order_acquire);
  struct stat info{};
  const bool known = ::fstat(segment->file.fd.get(), &info) == 0;
  sealed_.add_sealed(
      {.index = header.index,
       .disk_bytes = known ? static_cast<std::uint64_t>(info.st_blocks) * 512 : header.segment_bytes,
       .last_time_ns = segment->trailer.time_max_ns != 0 ? segment->trailer.time_max_ns : header.created_ns},
      !failed);
  if (!failed) {
    partners_.live.remove(header.index);
  } else {
    partners_.live.remove_failed(header.index);
    partners_.demand.ask();  // the sync thread decides what follows
  }
}

void Housekeeper::remove_unused() {
  spare_.reset();
  while (partners_.supply.take() != nullptr) continue;
  for (auto segment = partners_.live.oldest(); segment; segment = partners_.live.oldest()) {
    (void)partners_.files.unlink(segment->file.path);
    partners_.live.remove(segment->file.header.index);
  }
  (void)partners_.files.sync_directory(directory_);
}

std::uint64_t Housekeeper::unsealed_bytes() const {
  return partners_.live.size() * request_.segment_bytes;
}

/// Nobody but the operator removes them, so nobody else can tell when they are gone.
void Housekeeper::count_set_aside() {
  const auto names = partners_.files.list(directory_);
  if (!names) return;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    if (!segment::is_set_aside(name)) continue;
    ++files;
    if (const auto info = partners_.files.status(directory_ + "/" + name))
      bytes += static_cast<std::uint64_t>(info->st_blocks) * 512;  // stat(2): units of 512 bytes
  }
  partners_.counters.set_aside_files.store(files, std::memory_order_relaxed);
  partners_.counters.set_aside_bytes.store(bytes, std::memory_order_relaxed);
}

/// Everything goes on in a file without a name, and ends with the descriptor: nobody else would notice. Only this thread
/// renames and removes segments, so it is somebody from outside.
void Housekeeper::look_for_active() {
  const auto active = partners_.live.find(partners_.control.committed().segment());
  if (!active) return;
  struct stat own{};
  if (::fstat(active->file.fd.get(), &own) != 0) return;
  const auto named = partners_.files.status(active->file.path);
  const bool removed = named ? named->st_dev != own.st_dev || named->st_ino != own.st_ino
                             : named.error().code == std::errc::no_such_file_or_directory ||
                                   named.error().code == std::errc::not_a_directory;
  const bool known = partners_.counters.active_removed.exchange(removed, std::memory_order_relaxed);
  if (!removed || known) return;
  removal_.log(diag::Level::error,
               "stream {}: {} is being written, and was removed or renamed; what is stored now is lost when "
               "the daemon ends; fastlogctl rotate goes on in the next file",
               options_.current().name, active->file.path);
}

void Housekeeper::update_gauges() {
  partners_.counters.segments.store(sealed_.sealed_count() + partners_.live.size(),
                                    std::memory_order_relaxed);
  partners_.counters.disk_bytes.store(sealed_.sealed_bytes() + unsealed_bytes(), std::memory_order_relaxed);
}

}  // namespace fastlogd::append
