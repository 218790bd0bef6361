// How what a ring still holds gets to the next daemon: into the ring that it gives, or over the socket.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "client/producer.hpp"

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kCopied = 2;  // of a PING; flush() waits for the answer to another one
constexpr milliseconds kForPing{100};
constexpr milliseconds kAfterLoss{100};  // until the next try
constexpr milliseconds kWaitSlice{20};   // then see whether the daemon is still there
constexpr milliseconds kBetweenLooks{1};
constexpr std::size_t kSendBytes = 65536;
constexpr std::size_t kLooksPerLap = 16;

/// One frame of a ring, of which the caller knows that it is there.
struct Frame {
  ring::FrameHeader header;
  std::span<const std::byte> payload;

  Frame(const ring::SharedParts& parts, std::uint64_t position) {
    const std::byte* const at = parts.data + (position & (parts.capacity - 1));
    std::memcpy(&header, at, sizeof header);
    payload = {at + sizeof header, header.bytes - sizeof header};
  }
  [[nodiscard]] bool is_pad() const { return (header.flags & ring::FrameHeader::kPad) != 0; }
};

}  // namespace

/// The number of the first record that the old daemon has not given back; what it gives back later is handed over all
/// the same, so that the first number stays true.
std::uint64_t Producer::first_unread() {
  if (where_ != Where::shared) return next_number_;
  unread_ = ring_.read();
  for (std::uint64_t at = unread_; at != ring_.written();) {
    const Frame frame(ring_.parts(), at);
    if (!frame.is_pad()) return wire::read_shared_number(frame.payload);
    at += frame.header.bytes;
  }
  return next_number_;
}

/// With the lock, as the owner. What the ring still holds goes to the new daemon before anything else does.
void Producer::take(Link link) {
  link_ = std::move(link);
  next_ = Next();
  next_.memory = link_.take_memory();
  if (next_.memory.parts().capacity != 0) next_.ring = ring::SharedProducer(next_.memory.parts());
  buffer_.clear();
  if (where_ != Where::shared || unread_ == ring_.written()) return settle();
  next_.waits = true;
  next_.handed = unread_;
  stays_.read.store(unread_, std::memory_order_relaxed);
  stays_.attention.store(ring::ConsumerPage::kClosed,
                         std::memory_order_relaxed);  // each call looks how far it is
  ring_.believe(stays_);
  record_bytes_max_ = std::min(record_bytes_max_, link_.record_bytes_max());
}

/// With the lock, as the owner. The ring holds nothing any more that its daemon has not got: on with the new one, or
/// without one.
void Producer::settle() {
  const bool had_ring = where_ == Where::shared;
  if (had_ring) take_back_untold();
  dropped_.fetch_add(next_.too_large, std::memory_order_relaxed);  // its daemon counts them as well
  ring_ = next_.ring;
  memory_ = std::move(next_.memory);
  next_ = Next();
  const ring::SharedParts parts = memory_.parts();
  where_ = parts.capacity == 0 ? Where::socket : Where::shared;
  shares_.store(where_ == Where::shared, std::memory_order_relaxed);
  start_ = wire::shared_record_start((settings_->flags & FASTLOG_TIMES) != 0);
  record_bytes_max_ = link_.record_bytes_max();
  if (where_ != Where::shared) return;
  record_bytes_max_ =
      std::min(record_bytes_max_, ring::SharedProducer::payload_bytes_max(parts.capacity) - start_);
  look_every_ = parts.capacity / kLooksPerLap;
  looked_at_ = read_then_ = 0;
  tell_dropped();
  if (had_ring) tell_copied();
}

/// What its daemon has not heard of before it ended, the next one is to hear.
void Producer::take_back_untold() {
  const ring::SharedParts old = memory_.parts();
  const std::uint64_t counted = old.producer->dropped.load(std::memory_order_relaxed);
  const std::uint64_t told = old.consumer->dropped_told.load(std::memory_order_relaxed);
  if (told < counted) dropped_untold_.fetch_add(counted - told, std::memory_order_relaxed);
}

/// The old ring is needed no more, whoever keeps it. Who isn't told keeps it until the client ends; nothing is there twice
/// for that.
void Producer::tell_copied() {
  std::string message;
  try {
    wire::append_ping(message, kCopied);
  } catch (const std::bad_alloc&) {
    return;
  }
  static_cast<void>(link_.send(message, steady_clock::now() + kForPing));
}

/// With the lock, as the owner. The ring stays as it is, and the next link gets all of it.
void Producer::lose_link() {
  link_.close();
  if (!std::exchange(next_, Next()).waits) return;
  buffer_.clear();
  ring_.believe(*memory_.parts().consumer);
  look_every_ = 0;  // with every record, whether it is time to try again
  next_try_ = steady_clock::now() + kAfterLoss;
}

/// Any thread, with the lock. What was written before the call gets to the link's daemon.
Producer::Handed Producer::hand_over(Deadline deadline) {
  const std::uint64_t end = ring_.parts().producer->written.load(std::memory_order_acquire);
  const bool copies = next_.memory.parts().capacity != 0;
  while (next_.handed != end || !buffer_.empty()) {
    if (!copies && !hear()) return Handed::broken;  // who isn't heard reads no more
    const Moved moved = copies ? copy_some(end) : send_some(end);
    if (moved == Moved::broken) return Handed::broken;
    if (moved == Moved::on) continue;
    const auto now = steady_clock::now();
    if (now >= deadline) return Handed::some;
    const auto slice = std::min<steady_clock::duration>(kWaitSlice, deadline - now);
    if (copies) {
      static_cast<void>(next_.ring.wait_for_space(next_.wanted, slice));
    } else {
      link_.wait_for_room(now + slice);
    }
  }
  return Handed::all;
}

/// What a smaller ring can't hold keeps its number there, and is nothing that the daemon would store.
Producer::Moved Producer::copy_some(std::uint64_t end) {
  const std::size_t payload_bytes_max =
      ring::SharedProducer::payload_bytes_max(next_.memory.parts().capacity);
  bool ring_bell = false;
  bool full = false;
  while (next_.handed != end && !full) {
    const Frame frame(ring_.parts(), next_.handed);
    if (!frame.is_pad()) {
      const bool fits = frame.payload.size() <= payload_bytes_max;
      next_.wanted = fits ? frame.payload.size() : wire::shared_record_start(false);
      const auto room = next_.ring.reserve(next_.wanted);
      full = room.empty();
      if (full) break;
      if (fits) {
        std::memcpy(room.data(), frame.payload.data(), frame.payload.size());
      } else {
        wire::write_shared_record(room.data(), wire::read_shared_number(frame.payload), Priority{0xff}, 0, 0,
                                  kNoTime);
        ++next_.too_large;
      }
      ring_bell = next_.ring.commit(next_.wanted) || ring_bell;
    }
    next_.handed += frame.header.bytes;
  }
  if (ring_bell && !link_.send_bell()) return Moved::broken;
  if (!full) return Moved::on;
  return link_.is_broken() ? Moved::broken : Moved::no_room;
}

/// No call sends by itself meanwhile, so a BATCH that has been begun is ended before anything else is sent.
Producer::Moved Producer::send_some(std::uint64_t end) {
  if (buffer_.empty()) fill_buffer(end);
  if (buffer_.empty()) return Moved::on;
  const std::ptrdiff_t n = link_.send_some(std::string_view(buffer_).substr(next_.sent));
  if (n <= 0) return n < 0 ? Moved::broken : Moved::no_room;
  next_.sent += static_cast<std::size_t>(n);
  if (next_.sent == buffer_.size()) {
    buffer_.clear();
    next_.sent = 0;
  }
  return Moved::on;
}

void Producer::fill_buffer(std::uint64_t end) {
  while (next_.handed != end && buffer_.size() < kSendBytes) {
    const Frame frame(ring_.parts(), next_.handed);
    if (!frame.is_pad()) {
      const std::size_t before = buffer_.size();
      wire::SharedRecord record;
      const bool whole = wire::read_shared_record(frame.payload, record) == wire::SharedStatus::record;
      const bool has_data = whole && record.message_start != 0;
      try {
        wire::NativeBatch batch(buffer_, record.number, wire::Wanted::none);
        batch.add({.priority = record.priority,
                   .sender_time_ns = record.sender_time_ns,
                   .structured_data =
                       has_data ? record.slice.substr(0, record.message_start - 1) : std::string_view(),
                   .text = has_data ? record.slice.substr(record.message_start) : record.slice});
        batch.finish();
      } catch (const std::bad_alloc&) {
        buffer_.resize(before);
        throw;
      }
    }
    next_.handed += frame.header.bytes;
  }
}

/// With the lock, as the owner: hands over, and goes on from what comes of it.
void Producer::proceed(Deadline deadline) {
  if (!next_.waits) return;
  Handed handed = Handed::broken;
  try {
    handed = hand_over(deadline);
  } catch (const std::bad_alloc&) {
    handed = Handed::some;  // the rest another time
  }
  if (handed == Handed::all) settle();
  if (handed == Handed::broken) lose_link();
}

void Producer::proceed_in_call(Deadline deadline) {
  const std::unique_lock lock(slow_, std::try_to_lock);
  if (lock) return proceed(deadline);
  // Another thread flushes; what was written is on its way. There is nothing to wait on but its end.
  if (steady_clock::now() < deadline) std::this_thread::sleep_for(kBetweenLooks);
}

}  // namespace fastlogd::client
