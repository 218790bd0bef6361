#include "client/producer.hpp"

#include <algorithm>
#include <utility>

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenTries{100};
constexpr milliseconds kHandshake{2000};
// In a call to log. A daemon that is there answers in a fraction of one; the socket of one that is not may take connections
// all the same (systemd holds it), and nobody's call shall wait long for that.
constexpr milliseconds kHandshakeInCall{100};
constexpr std::uint64_t kCopied = 2;  // of a PING; flush() waits for the answer to another one
constexpr int kTriesApart =
    10;  // times what the last one took: of a thread's time a tenth goes there at most
constexpr milliseconds kWaitSlice{20};  // then see whether the daemon is still there
constexpr std::size_t kLooksPerLap = 16;

}  // namespace

bool Producer::connect(Deadline deadline) {
  const std::lock_guard lock(slow_);
  const auto began = steady_clock::now();
  const std::uint64_t first = first_unread();
  Result<Link> link = Link::open(settings_->link, id_, first, deadline);
  if (!link) {
    error_ = link.error().message();
    const auto now = steady_clock::now();
    next_try_ = now + std::max<steady_clock::duration>(kBetweenTries, kTriesApart * (now - began));
    look_every_ = 0;  // with every record, whether it is time to try again
    return false;
  }
  error_.clear();
  stored_ = synced_ = first - 1;  // the protocol's first values
  take(std::move(*link));
  return true;
}

/// With the lock. What the old ring still holds goes into the new one before anything else does.
void Producer::take(Link link) {
  ring::SharedProducer old = std::exchange(ring_, ring::SharedProducer());
  const ring::SharedMemory old_memory = std::exchange(memory_, link.take_memory());
  const bool had_ring = where_ == Where::shared;
  link_ = std::move(link);
  record_bytes_max_ = link_.record_bytes_max();
  start_ = wire::shared_record_start((settings_->flags & FASTLOG_TIMES) != 0);
  const ring::SharedParts parts = memory_.parts();
  where_ = parts.capacity == 0 ? Where::socket : Where::shared;
  shares_.store(where_ == Where::shared, std::memory_order_relaxed);
  buffer_.clear();
  if (where_ == Where::shared) {
    ring_ = ring::SharedProducer(parts);
    record_bytes_max_ =
        std::min(record_bytes_max_, ring::SharedProducer::payload_bytes_max(parts.capacity) - start_);
    look_every_ = parts.capacity / kLooksPerLap;
    looked_at_ = read_then_ = 0;
    if (const std::uint64_t untold = std::exchange(dropped_untold_, 0)) ring_.count_dropped(untold);
  }
  if (!had_ring) return;
  const std::uint64_t lost = where_ == Where::shared ? !write_again(old) : !send_again(old);
  dropped_.fetch_add(lost, std::memory_order_relaxed);
  if (lost != 0 || where_ != Where::shared) return;
  std::string message;
  wire::append_ping(message, kCopied);  // all of it: the old ring is needed no more, whoever keeps it
  const std::lock_guard sending(sending_);
  static_cast<void>(link_.send(message, steady_clock::now() + kHandshake));
}

/// Calls `use(payload)` for each record from position `from` on, until it says false.
template <class Use>
bool each_record(const ring::SharedProducer& ring, std::uint64_t from, Use use) {
  const ring::SharedParts& parts = ring.parts();
  for (std::uint64_t at = from; at < ring.written();) {
    ring::FrameHeader header;
    const std::byte* const frame = parts.data + (at & (parts.capacity - 1));
    std::memcpy(&header, frame, sizeof header);
    if ((header.flags & ring::FrameHeader::kPad) == 0 &&
        !use(std::span<const std::byte>(frame + sizeof header, header.bytes - sizeof header))) {
      return false;
    }
    at += header.bytes;
  }
  return true;
}

/// The number of the first record that the old daemon has not given back; what it gives back later is written again all
/// the same, so that the first number stays true.
std::uint64_t Producer::first_unread() {
  if (where_ != Where::shared) return next_number_;
  unread_ = ring_.read();
  std::uint64_t first = next_number_;
  each_record(ring_, unread_, [&](std::span<const std::byte> payload) {
    first = wire::read_shared_number(payload);
    return false;
  });
  return first;
}

bool Producer::write_again(ring::SharedProducer& old) {
  bool ring_bell = false;
  const bool all = each_record(old, unread_, [&](std::span<const std::byte> payload) {
    auto room = ring_.reserve(payload.size());
    while (room.empty()) {  // this ring is smaller
      if (ring_bell && !link_.send_bell()) return false;
      if (link_.is_broken()) return false;
      ring_.wait_for_space(payload.size(), kWaitSlice);
      room = ring_.reserve(payload.size());
    }
    std::memcpy(room.data(), payload.data(), payload.size());
    ring_bell = ring_.commit(payload.size()) || ring_bell;
    return true;
  });
  if (ring_bell) static_cast<void>(link_.send_bell());
  return all;
}

bool Producer::send_again(const ring::SharedProducer& old) {
  return each_record(old, unread_, [&](std::span<const std::byte> payload) {
    wire::SharedRecord record;
    if (wire::read_shared_record(payload, record) != wire::SharedStatus::record) return false;
    const std::string_view data =
        record.message_start == 0 ? std::string_view() : record.slice.substr(0, record.message_start - 1);
    wire::NativeBatch batch(buffer_, record.number, wire::Wanted::none);
    batch.add({.priority = record.priority,
               .sender_time_ns = record.sender_time_ns,
               .structured_data = data,
               .text = record.slice.substr(record.message_start)});
    batch.finish();
    const bool sent = link_.send(buffer_, steady_clock::now() + kHandshake);
    buffer_.clear();
    return sent;
  });
}

bool Producer::connect_again(Deadline deadline) {
  {
    const std::lock_guard lock(slow_);
    link_.close();
  }
  return connect(deadline);
}

bool Producer::reconnect_sometimes() {
  if (steady_clock::now() < next_try_) return false;
  return connect_again(steady_clock::now() + kHandshakeInCall);
}

/// The daemon sleeps, or has said that it goes, or nothing was given back since the last look.
void Producer::look_at_daemon(bool asked) {
  if (!link_) {
    static_cast<void>(reconnect_sometimes());
    return;
  }
  looked_at_ = ring_.written();
  const std::uint64_t read = ring_.read();
  const bool moves = read != std::exchange(read_then_, read);
  if (!asked && moves) return;
  const bool alive = asked && !ring_.closed() ? link_.send_bell() : !link_.is_broken();
  if (!alive) static_cast<void>(connect_again(steady_clock::now() + kHandshakeInCall));
}

int Producer::drop(int why) {
  dropped_.fetch_add(1, std::memory_order_relaxed);
  if (where_ == Where::shared && link_) {
    ring_.count_dropped(1);
  } else {
    ++dropped_untold_;  // the next daemon hears of it
  }
  return why;
}

char* Producer::reserve_slowly(std::size_t n, int& result) {
  const auto fail = [&](int why) -> char* {
    busy_ = false;
    result = drop(why);
    return nullptr;
  };
  if (where_ == Where::nowhere && !reconnect_sometimes()) return fail(FASTLOG_ERROR_CLOSED);
  if (n > record_bytes_max_) return fail(FASTLOG_ERROR_TOO_LARGE);
  if (where_ == Where::shared && !wait_for_room(start_ + n, result)) return fail(result);
  reserved_bytes_ = n;
  if (where_ == Where::shared) {
    const auto room = ring_.reserve(start_ + n);
    if (room.empty()) return fail(FASTLOG_ERROR_FULL);
    reserved_ = reinterpret_cast<char*>(room.data());
    return reserved_ + start_;
  }
  if (!link_ && !reconnect_sometimes()) return fail(FASTLOG_ERROR_CLOSED);
  if (where_ == Where::shared) {  // this daemon gives memory again
    busy_ = false;
    return reserve(n, result);
  }
  text_.resize(n);
  reserved_ = text_.data();
  return reserved_;
}

/// May end with another ring, or with none.
bool Producer::wait_for_room(std::size_t n, int& result) {
  const auto begin = steady_clock::now();
  const auto limit =
      settings_->wait_ms_max == 0 ? Deadline::max() : begin + milliseconds(settings_->wait_ms_max);
  while (where_ == Where::shared) {
    if (!ring_.reserve(n).empty()) return true;
    if (!link_ || link_.is_broken()) {
      static_cast<void>(reconnect_sometimes());
      if (where_ != Where::shared || !ring_.reserve(n).empty()) return true;
    }
    if (settings_->drops()) {
      result = FASTLOG_ERROR_FULL;
      return false;
    }
    if (ring_.wait_for_space(n, kWaitSlice)) return true;
    if (steady_clock::now() >= limit) {
      result = FASTLOG_ERROR_TIMEOUT;
      return false;
    }
  }
  return true;
}

// --- without shared memory ---

int Producer::commit_to_socket(Priority priority, std::uint32_t message_start, std::size_t n) {
  const std::string_view slice(reserved_, n);
  wire::NativeBatch batch(buffer_, next_number_, wire::Wanted::none);
  batch.add({.priority = priority,
             .sender_time_ns = (settings_->flags & FASTLOG_TIMES) != 0 ? realtime_ns() : kNoTime,
             .structured_data = message_start == 0 ? std::string_view() : slice.substr(0, message_start - 1),
             .text = slice.substr(message_start)});
  batch.finish();
  const int result = send_batch();
  if (result == FASTLOG_OK) last_number_.store(next_number_++, std::memory_order_release);
  busy_ = false;
  return result == FASTLOG_OK ? result : drop(result);
}

/// A BATCH that has been begun must be ended, so dropping is possible only before its first byte.
int Producer::send_batch() {
  const auto limit = settings_->wait_ms_max == 0 ? Deadline::max()
                                                 : steady_clock::now() + milliseconds(settings_->wait_ms_max);
  bool sent = false;
  int result = FASTLOG_OK;
  {
    const std::lock_guard sending(sending_);
    const std::ptrdiff_t n = link_.send_some(buffer_);
    if (n > 0) {
      sent = link_.send(std::string_view(buffer_).substr(static_cast<std::size_t>(n)), Deadline::max());
    } else if (n == 0 && settings_->drops()) {
      result = FASTLOG_ERROR_FULL;
    } else if (n == 0) {
      sent = link_.send(buffer_, limit);
      if (!sent && !link_.is_broken() && steady_clock::now() >= limit) result = FASTLOG_ERROR_TIMEOUT;
    }
  }
  buffer_.clear();
  if (sent || result == FASTLOG_ERROR_FULL) return result;
  const std::lock_guard lock(slow_);  // broken, or in the middle of a message: begin anew
  link_.close();
  return result == FASTLOG_OK ? FASTLOG_ERROR_CLOSED : result;
}

}  // namespace fastlogd::client
