#include "ingest/shared_intake.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "ingest/io_thread.hpp"
#include "ingest/refusal.hpp"

namespace fastlogd::ingest {
namespace {

constexpr std::size_t kBlocksPerLook = 8;  // then it is somebody else's turn
// At once, or one record that is longer: so its room is given back soon, and in pieces.
constexpr std::size_t kCopyBytes = 64 * limits::kKiB;
// Then sleep: 84 us after the thread has begun to rest, or among busy channels after so many looks.
constexpr unsigned kRestsInVain = 3;
constexpr unsigned kLooksInVainMax = 256;
// Who has written many records may well write more, and finds a bell dear: so many of them pay for one more rest, which
// adds less than a microsecond to what each costs. At most 24 rests, some 15 ms.
constexpr std::size_t kRecordsPerRest = 32;
constexpr std::size_t kPatienceMax = 24 * kRecordsPerRest;

}  // namespace

SharedIntake::SharedIntake(IoThread& thread, ListenerPtr listener, UniqueFd fd, IntakeStart start)
    : Channel(thread, std::move(listener), std::move(fd)),
      consumer_(start.consumer),
      origin_(start.origin),
      client_(start.client),
      known_(start.known),
      next_number_(start.first_number),
      refused_(start.refused),
      kept_name_(std::move(start.kept_name)),
      tick_ns_(monotonic_ns()),
      memory_(std::move(start.memory)),
      lease_(std::move(start.lease)) {
  const std::string_view identifier = start.origin.attested.identifier;
  const std::string_view host = start.origin.attested.host;
  char* const behind = std::copy(identifier.begin(), identifier.end(), names_.data());
  std::copy(host.begin(), host.end(), behind);
  origin_.attested.transport = Transport::shared_memory;
  origin_.attested.identifier = {names_.data(), identifier.size()};
  origin_.attested.host = {behind, host.size()};
  if (next_number_ != kUnknownNumber) ledger_.start(next_number_);
}

AckBoard& SharedIntake::board() {
  return thread_.acks(*listener_);
}

/// The stream's ring has room again.
void SharedIntake::ready() {
  waiting_for_room_ = false;
  wake();
}

void SharedIntake::wake() {
  if (finished()) return;
  if (asleep_) consumer_.disarm();
  asleep_ = false;
  look_afresh();
  if (!waiting_for_room_) thread_.poll(*this);
}

void SharedIntake::look_afresh() {
  looks_in_vain_ = 0;
  rests_in_vain_ = 0;
  rests_seen_ = thread_.rests();
}

/// Rests even where records come far apart: a ring that is armed between the first two records of a burst costs their
/// writer a second bell.
bool SharedIntake::looks_on() {
  if (rests_seen_ != thread_.rests()) {
    rests_seen_ = thread_.rests();
    looks_in_vain_ = 0;
    if (++rests_in_vain_ > kRestsInVain) patience_ -= std::min(patience_, kRecordsPerRest);
  }
  return ++looks_in_vain_ < kLooksInVainMax &&
         (rests_in_vain_ < kRestsInVain || patience_ >= kRecordsPerRest);
}

Channel::Polled SharedIntake::poll() {
  if (!may_take()) return Polled::done;
  bool any = false;
  for (std::size_t i = 0; i < kBlocksPerLook; ++i) {
    const Took took = take_block();
    if (took == Took::finished) return Polled::done;
    if (took == Took::must_wait) {
      waiting_for_room_ = true;
      pause();
      return Polled::done;
    }
    if (took == Took::nothing) break;
    any = true;
  }
  if (any) {
    look_afresh();
    look_at_drops();
    answer();
    return finished() ? Polled::done : Polled::worked;
  }
  if (ended_ && (consumer_.look() == ring::Look::empty || drain_bytes_left_ == 0) && !stalled()) {
    drained_ = true;
    look_at_drops();
    all_taken();
    answer();
    end_if_done();
    return Polled::done;
  }
  if (stalled() || looks_on()) return Polled::idle;
  asleep_ = consumer_.arm();
  if (!asleep_) consumer_.disarm();
  return asleep_ ? Polled::done : Polled::idle;
}

std::size_t SharedIntake::copy_bytes(const BlockWriter& writer) const {
  const std::size_t largest = thread_.limits().record_bytes_max + limits::kReadBytes;
  const std::size_t wanted = std::clamp(consumer_.next_frame_bytes_untrusted(), kCopyBytes, largest);
  return std::min({consumer_.available(), wanted, writer.payload_bytes_max(limits::kBlockMessagesMax)});
}

bool SharedIntake::has_room() {
  const BlockWriter& writer = thread_.writer(*listener_);
  return writer.has_space(room_wanted_, limits::kBlockMessagesMax);
}

// Walk 1 listener
SharedIntake::Took SharedIntake::take_block() {
  if (finished()) return Took::finished;
  if (stalled()) return Took::nothing;
  const ring::Look look = consumer_.look();
  if (look == ring::Look::empty || (ended_ && drain_bytes_left_ == 0)) return Took::nothing;
  if (look == ring::Look::broken) {
    end_ring(wire::NativeError::malformed, "a position in shared memory that can't be");
    return Took::finished;
  }
  BlockWriter& writer = thread_.writer(*listener_);
  const std::size_t bytes = copy_bytes(writer);
  if (!writer.begin(bytes, limits::kBlockMessagesMax)) {
    room_wanted_ = bytes;
    return Took::must_wait;
  }
  if (!ledger_.waits_for_appender()) ledger_.nothing_before(board().now().settled);
  consumer_.copy({reinterpret_cast<std::byte*>(writer.payload()), bytes});
  take_copy(writer, bytes);
  if (broken_ != nullptr) {
    end_ring(error_, broken_);
    return Took::finished;
  }
  return Took::some;
}

/// What was copied is the daemon's own, and is checked where it lies: nobody can change it any more.
// Walk 2 framing
void SharedIntake::take_copy(BlockWriter& writer, std::size_t bytes) {
  const std::span copy(reinterpret_cast<const std::byte*>(writer.payload()), bytes);
  writer.received(bytes, realtime_ns(), thread_.utc_offset_seconds(), false);
  ring::FrameWalk walk(copy, consumer_.available());
  ring::FrameWalk::Step step = walk.next();
  while (step == ring::FrameWalk::Step::frame && writer.room() > 0 && ledger_.has_room() &&
         take_record(writer, walk.payload())) {
    step = walk.next();
  }
  if (step == ring::FrameWalk::Step::broken) {
    broken_ = "a length in shared memory that can't be";
    error_ = wire::NativeError::malformed;
  }
  std::size_t done = walk.consumed();
  if (done == 0 && broken_ == nullptr && step == ring::FrameWalk::Step::end) {
    done = walk.cut_frame_bytes();  // longer than the longest record: never copied whole
    if (done != 0) pass_over(copy.subspan(sizeof(ring::FrameHeader)));
  }
  const bool any = writer.messages() > 0;
  patience_ = std::min(patience_ + writer.messages(), kPatienceMax);
  writer.commit(counters());
  if (any) ledger_.committed(writer.ring_end());
  if (broken_ != nullptr && !any) return;
  counters().received_bytes.add(done);
  drain_bytes_left_ -= std::min(drain_bytes_left_, done);
  consumer_.advance(done);
  owe(any ? writer.ring_end() : 0);
  if (sync_request_) request_sync();
  if (waits_for_progress()) board().wait(*this);
}

/// False: the rest of the copy is for the next block, or not to be read at all.
// Walk 3 parser
bool SharedIntake::take_record(BlockWriter& writer, std::span<const std::byte> payload) {
  wire::SharedRecord record;
  const wire::SharedStatus status = wire::read_shared_record(payload, record);
  if (status == wire::SharedStatus::broken) {
    broken_ = "a record in shared memory that can't be";
    error_ = wire::NativeError::malformed;
    return false;
  }
  if (!in_order(record.number)) return false;
  if (record.number <= known_) {  // stored by a daemon that died before it could give it back
    ledger_.skip(record.number);
    ++next_number_;
    return true;
  }
  const bool refused =
      status == wire::SharedStatus::malformed || record.slice.size() > thread_.limits().record_bytes_max;
  if (refused && writer.messages() > 0 && !client_.is_none())
    return false;  // a block's numbers have no holes
  if (refused) {
    refuse_record(record.number, status == wire::SharedStatus::malformed ? wire::Refusal::malformed
                                                                         : wire::Refusal::too_large);
    return true;
  }
  const RecordFormat format = record.message_start == 0 ? RecordFormat::raw : RecordFormat::rfc5424;
  const BlockWriter::Unnamed message{.priority = record.priority,
                                     .flags = {static_cast<std::uint8_t>(format)},
                                     .message_start = record.message_start,
                                     .sender_time_ns = record.sender_time_ns};
  const std::size_t index = writer.messages();
  if (!writer.add_unnamed(record.slice, message, origin_, hint_)) return false;
  FASTLOGD_CHECK(ledger_.add(record.number, index));
  if (index == 0) writer.number({.client = client_, .first = record.number});
  if (index == 0 && (!ended_ || !kept_name_.empty())) writer.lend();
  ++next_number_;
  return true;
}

bool SharedIntake::in_order(std::uint64_t number) {
  if (number == next_number_) return true;
  if (next_number_ == kUnknownNumber && number > 0 && number <= wire::kNativeNumberMax) {
    next_number_ = number;
    ledger_.start(number);
    return true;
  }
  broken_ = "a record in shared memory with a number that is not the next one";
  error_ = wire::NativeError::order;
  return false;
}

void SharedIntake::pass_over(std::span<const std::byte> beginning) {
  const std::uint64_t number = wire::read_shared_number(beginning);
  if (in_order(number)) refuse_record(number, wire::Refusal::too_large);
}

/// Counted like any record that is lost, and named in the log by a GAP.
void SharedIntake::refuse_record(std::uint64_t number, wire::Refusal why) {
  counters().received_records.add();
  counters().dropped_records[static_cast<std::size_t>(DropReason::refused)].add();
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::sender_error)].add();
  ledger_.skip(number);
  next_number_ = number + 1;
  note_refused(number, number, why);
}

/// Told with the next answer, all in one: a client that asks for nothing reads nothing.
void SharedIntake::note_refused(std::uint64_t first, std::uint64_t last, wire::Refusal why) {
  counters().refused_records[static_cast<std::size_t>(why) - 1].add(last - first + 1);
  if (refused_.last == 0) refused_.first = first;
  refused_.last = std::max(refused_.last, last);
  refused_.why = why;
}

/// Up to the cursor, behind the last block that is in the stream's ring.
void SharedIntake::owe(std::uint64_t ring_end) {
  if (ring_end == 0 && owed_count_ == 0) return consumer_.give_back(consumer_.cursor());
  if (ring_end != 0) owed_[(owed_first_ + owed_count_++) % kOwedMax].ring_end = ring_end;
  owed_[(owed_first_ + owed_count_ - 1) % kOwedMax].position = consumer_.cursor();
}

void SharedIntake::give_back_settled(std::uint64_t ring_position) {
  std::uint64_t position = consumer_.given_back();
  while (owed_count_ > 0 && owed_[owed_first_ % kOwedMax].ring_end <= ring_position) {
    position = owed_[owed_first_++ % kOwedMax].position;
    --owed_count_;
  }
  consumer_.give_back(position);
}

void SharedIntake::look_at_drops() {
  const std::uint64_t dropped = consumer_.take_dropped();
  if (dropped == 0) return;
  counters().client_dropped_records.add(dropped);
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::client)].add(dropped);
}

}  // namespace fastlogd::ingest
