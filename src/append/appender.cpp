#include "append/appender.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/diagnostics.hpp"
#include "base/thread_role.hpp"

namespace fastlogd::append {
namespace {

constexpr std::int64_t kClockStepBack = 10 * kNanosPerSecond;
constexpr std::size_t kRingBudgetBytes = limits::kMiB;      // per ring and cycle
constexpr std::uint64_t kPopulateAhead = 8 * limits::kMiB;  // ring the populator when less is left
constexpr std::chrono::milliseconds kPark{100};
constexpr std::chrono::milliseconds kStarvedPark{1};  // a prepared segment rings no bell here

}  // namespace

Appender::Appender(Partners partners, LogStart start, std::unique_ptr<ring::WakeSignal> data)
    : partners_(partners),
      data_(std::move(data)),
      options_(partners.options),
      next_sequence_(start.next_sequence),
      start_(std::move(start)),
      clients_(std::move(start_.clients)),
      writer_(partners.files, partners.persist) {
  writer_.follow(start_.order);
  clients_.make_room();
}

void Appender::attach(const RingEnd& end) {
  inputs_.push_back({.end = end,
                     .sources = std::make_unique<SourceMap>(),
                     .report = ProgressReport(end.progress, end.acks),
                     .reported = {}});
}

void Appender::start(const std::string& stream) {
  thread_ = std::thread([this, name = "fl-append-" + stream] {
    set_thread_name(name.substr(0, 15).c_str());
    run();
  });
}

void Appender::stop(std::int64_t deadline_ns) {
  stop_deadline_ns_.store(deadline_ns, std::memory_order_release);
  data_->interrupt();
  if (thread_.joinable()) return thread_.join();
  run();  // driven by do_work() so far
}

void Appender::run() {
  for (;;) {
    const std::size_t work = do_work();
    const std::int64_t deadline = stop_deadline_ns_.load(std::memory_order_acquire);
    if (deadline != 0 && work == 0 && (!any_data() || is_given_up() || monotonic_ns() > deadline)) break;
    if (work == 0) idle();
  }
  for (Input& input : inputs_) (void)drop_all(input, DropReason::shutdown);
  if (lost_) leave_lost();
  report_rest();
  seal_active(0);
}

std::size_t Appender::do_work() {
  partners_.counters.duty_cycles.add();
  partners_.cpu.note();
  const Durability& durability = options_.current().durability;
  sync_all_ = durability.at_once();
  sync_severity_ = durability.sync_severity;
  if (!ensure_segment()) return drop_if_so_told();
  if (partners_.fail_over.requested()) [[unlikely]]
    fail_over();
  if (lost_) [[unlikely]]
    return drop_if_so_told();
  if (roll_requested_.load(std::memory_order_relaxed)) [[unlikely]]
    roll_as_requested();
  std::size_t entries = 0;
  for (Input& input : inputs_) entries += drain(input);
  report_losses(monotonic_ns());
  return entries;
}

/// The request is taken first: whoever asks again once this roll shows asks for another one.
void Appender::roll_as_requested() {
  roll_requested_.store(false, std::memory_order_relaxed);
  if (roll(segment::OpenReason::rotate)) {
    publish();
  } else {
    roll_requested_.store(true, std::memory_order_relaxed);
  }
}

bool Appender::any_data() {
  return std::any_of(inputs_.begin(), inputs_.end(), [](Input& input) { return input.end.ring->has_data(); });
}

void Appender::idle() {
  const std::int64_t since_ns = monotonic_ns();
  const bool stuck = starved_ || lost_ || active_ == nullptr;  // then data is no news
  if (stuck || !window_.look([this] { return any_data(); })) park(stuck);
  window_.waited(monotonic_ns() - since_ns);
}

void Appender::park(bool stuck) {
  partners_.counters.parks.add();
  if (stuck) {
    data_->wait(kStarvedPark);
  } else {
    data_->arm();
    if (!any_data() && stop_deadline_ns_.load(std::memory_order_acquire) == 0) data_->wait(kPark);
  }
  data_->disarm();  // a count left in the eventfd would turn the next wait into a loop
}

std::size_t Appender::drain(Input& input) {
  ring::ByteRing& ring = *input.end.ring;
  std::size_t entries = 0;
  std::size_t taken = 0;
  while (!lost_ && taken < kRingBudgetBytes) {
    const auto bytes = ring.peek();
    if (bytes.empty()) break;
    const ingress::EntryView entry(bytes);
    if (entry.header().kind == ingress::EntryKind::source_definition) {
      input.sources->define(entry);
    } else if (entry.header().kind == ingress::EntryKind::sync_request) {
      ++wanting_;
    } else if (!store_block(input, entry)) {
      break;
    }
    ring.release(entry.entry_bytes());
    input.report.released(ring.read());
    taken += entry.entry_bytes();
    ++entries;
    publish();
  }
  if (entries > 0) {
    ring.publish_space();
    report_progress(input);  // both watermarks first, so that one wake-up is enough for both
    input.end.space->notify();
  } else if (input.report.behind()) {
    report_progress(input);
  }
  return entries;
}

/// By the clock itself: an entry that has waited in its ring, because there was no segment, is old and in order all the
/// same.
bool Appender::clock_was_set_back(const ingress::EntryView& entry) const {
  const std::int64_t bound_ns = writer_.last_time_ns() - kClockStepBack;
  return entry.header().receive_time_ns < bound_ns && writer_.record_count() > 0 && realtime_ns() < bound_ns;
}

/// False: no room and no new segment. The descriptors stored so far are remembered, the entry stays in its ring.
bool Appender::store_block(Input& input, const ingress::EntryView& entry) {
  const auto messages = entry.descriptors();
  if (input.resume_at == 0) pass_over_repeated(input, entry);
  if (clock_was_set_back(entry) && !roll(segment::OpenReason::clock) && !drops_now()) return false;
  const std::size_t first = input.resume_at;
  std::size_t at = first;
  const bool stated = first == messages.size() || state_numbers(entry, first);
  const std::uint64_t from = writer_.offset();
  for (; stated && at < messages.size(); ++at) {
    if (!store_record(input, entry, messages[at])) break;
  }
  (void)settle();
  at -= std::exchange(taken_back_, 0);  // they are the last ones: every entry is a batch of its own
  stored_numbers(entry, first, at);
  tally(messages.subspan(first, at - first));
  partners_.counters.stored_bytes.add(writer_.offset() >= from ? writer_.offset() - from : writer_.offset());
  input.resume_at = at == messages.size() ? 0 : at;
  if (at == messages.size()) return true;
  publish();
  if (!drops_now()) return false;
  drop_rest(input, entry, DropReason::segment_full);
  return true;
}

/// Counts what a block has brought into the log.
void Appender::tally(std::span<const ingress::Descriptor> messages) {
  std::uint64_t bytes = 0;
  for (const ingress::Descriptor& message : messages) {
    bytes += message.slice_bytes;
    if (wants_sync(message)) ++wanting_;
  }
  partners_.counters.stored_records.add(messages.size());
  partners_.counters.message_bytes.add(bytes);
}

bool Appender::store_record(Input& input, const ingress::EntryView& entry,
                            const ingress::Descriptor& message) {
  const char* slice = entry.payload() + message.slice_offset;
  segment::NewRecord record{
      .sequence = Sequence{next_sequence_},
      .receive_time_ns = entry.header().receive_time_ns,
      .priority = message.priority,
      .flags = message.stored_flags(),
      .extension = {.message_start = message.message_start,
                    .sender_time_ns = message.sender_time_ns,
                    .procid = {slice - message.procid_back, message.procid_bytes},
                    .msgid = {slice - message.msgid_back, message.msgid_bytes}},
      .slice = {slice, message.slice_bytes},
  };
  for (;;) {
    if (input.sources->resolve(message.source_slot, writer_, record.source) && writer_.append(record))
        [[likely]] {
      ++next_sequence_;
      return true;
    }
    const auto at = static_cast<std::size_t>(&message - entry.descriptors().data());
    stored_numbers(entry, input.resume_at, at);  // the next segment begins with how far everybody has got
    if (!roll(segment::OpenReason::roll) || !state_numbers(entry, at)) return false;
  }
}

bool Appender::wants_sync(const ingress::Descriptor& message) const {
  return sync_all_ || message.sync() ||
         static_cast<std::int8_t>(message.priority.severity()) <= sync_severity_;
}

/// With drop-newest, and only when the housekeeper has found the disk full: not while a prepared segment is still at hand,
/// behind a failed store, unless nobody will go on in it.
bool Appender::drops_now() {
  return options_.current().when_full == WhenFull::drop_newest &&
         partners_.counters.disk_full.load(std::memory_order_acquire) && (!has_next() || is_given_up());
}

bool Appender::has_next() const {
  return next_ != nullptr || !partners_.supply.empty();
}

// --- segments ---

bool Appender::ensure_segment() {
  if (active_ != nullptr) [[likely]]
    return true;
  LiveSegment* first = partners_.supply.take();
  if (first == nullptr) return false;
  begin(*first, segment::OpenReason::start);
  publish();
  return true;
}

void Appender::begin(LiveSegment& next, segment::OpenReason reason) {
  const segment::OpenPayload open{.first_sequence = next_sequence_,
                                  .previous_uuid = start_.previous_uuid,
                                  .previous_end_offset = start_.previous_end_offset,
                                  .previous_last_sequence = next_sequence_ - 1,
                                  .durable_position = partners_.control.durable().value,
                                  .epoch = start_.epoch,
                                  .reason = reason};
  active_ = &next;
  starved_ = false;
  told_dropped_ = 0;
  writer_.start(next.file, open, realtime_ns());
  for (const segment::Gap& gap : start_.gaps) (void)writer_.append_gap(gap);
  // What the segment before holds may not be on disk: whoever sends it again has it stored again.
  if (reason == segment::OpenReason::failed) clients_.forget();
  repeat_clients(false);
  partners_.housekeeper.ring();
  partners_.populator.ring_once();
}

/// SEAL into the old, OPEN into the new, and nothing published in between: readers find both or neither.
bool Appender::roll(segment::OpenReason reason) {
  if (lost_ && reason != segment::OpenReason::failed) return false;
  if (next_ == nullptr) next_ = partners_.supply.take();
  if (next_ == nullptr) {
    if (!starved_) partners_.counters.waits_for_segment.add();
    starved_ = true;
    return false;
  }
  if (!seal_active(next_->file.header.index)) return false;
  begin(*std::exchange(next_, nullptr), reason);
  return true;
}

bool Appender::seal_active(std::uint64_t next_index) {
  if (active_ == nullptr) return true;
  if (!lost_) {
    if (next_index == 0) repeat_clients(true);
    writer_.seal(next_index);
    if (!settle() && next_index != 0) return false;
  }
  if (writer_.offset() > segment::kHeaderBytes) {  // else not even its OPEN could be stored
    start_.previous_uuid = active_->file.header.segment_uuid;
    start_.previous_end_offset = writer_.offset();
  }
  active_->trailer = writer_.trailer();
  if (next_index == 0) publish();
  lost_ = false;
  if (next_index != 0) partners_.counters.rolls.add();  // the housekeeper looks at it behind `retired`
  writer_.close();                                      // from here on the housekeeper may unmap it
  active_->retired.store(true, std::memory_order_release);
  active_ = nullptr;
  partners_.housekeeper.ring();
  return true;
}

/// A sync has failed, or a store: goes on in a new segment that says from where on nobody knows what is on disk. Without
/// a prepared one it stays where it is and tries again in the next cycle.
void Appender::fail_over() {
  if (!has_next() || !roll(segment::OpenReason::failed)) return;
  const std::uint64_t first = partners_.fail_over.first_unknown();
  if (first < next_sequence_) {
    const segment::Gap gap{.reason = ingress::LossReason::durability_unknown,
                           .first = Sequence{first},
                           .last = Sequence{next_sequence_ - 1},
                           .to_ns = realtime_ns()};
    if (!writer_.append_gap(gap) || !settle()) return;  // again, in yet another segment
    partners_.counters.gap_frames.add();
    partners_.counters.unknown_durability.add(next_sequence_ - std::max(first, unknown_below_));
    unknown_below_ = next_sequence_;
  }
  publish();
  if (lost_) return;
  partners_.fail_over.stated(writer_.index(), next_sequence_);
  partners_.demand.ask();
}

/// The stream ends while its segment takes no more stores: what was dropped is to be named in another one. Nobody may have
/// asked for it yet; then its OPEN alone says what happened.
void Appender::leave_lost() {
  if (partners_.fail_over.requested()) {
    fail_over();
  } else if (roll(segment::OpenReason::failed)) {
    publish();
  }
}

/// Nobody will ever ask for another segment.
bool Appender::is_given_up() {
  return lost_ && options_.current().durability.on_failure == OnSyncFailure::stop;
}

/// Ends the writer's batch. False: a store has failed, for good in this segment. What the batch held is taken back, its
/// numbers are given anew; the entry it came from is still in its ring.
bool Appender::settle() {
  if (lost_) [[unlikely]]
    return false;
  if (writer_.flush()) [[likely]]
    return true;
  diag::error("stream {}: segment {} takes no more stores: {}", options_.current().name, writer_.index(),
              writer_.failure().message());
  writer_.abandon();
  taken_back_ += next_sequence_ - writer_.next_sequence();
  next_sequence_ = writer_.next_sequence();
  give_up_active();
  return false;
}

/// Nothing is stored any more until the sync thread has asked for another segment.
void Appender::give_up_active() {
  lost_ = true;
  clients_.forget();  // some of what was noted may have been taken back: it is dropped then, not repeated
  active_->failed.store(true, std::memory_order_release);
  partners_.demand.ask();
}

// Walk 6: from here on readers can see it.
void Appender::publish() {
  if (!settle()) [[unlikely]]
    return;
  if (!start_.gaps.empty()) [[unlikely]] {
    partners_.counters.gap_frames.add(start_.gaps.size());
    start_.gaps.clear();
  }
  partners_.control.set_committed(writer_.position());
  if (wanting_ != 0) partners_.counters.sync_wishes.add(wanting_);
  partners_.demand.published(next_sequence_, std::exchange(wanting_, 0));
  writer_.set_durable(partners_.control.durable());
  if (active_ != nullptr &&
      writer_.offset() + kPopulateAhead > active_->populated_to.load(std::memory_order_relaxed)) {
    partners_.populator.ring_once();
  }
}

/// What the ring's io thread may acknowledge or has to refuse. In a segment that takes no more stores nothing can be
/// published, but the first half of a block may have been stored in front of it.
void Appender::report_progress(Input& input) {
  input.report.publish({.ring_position = input.end.ring->read(),
                        .log_position = lost_ ? writer_.position() : partners_.control.committed(),
                        .last_sequence = next_sequence_ - 1});
}

}  // namespace fastlogd::append
