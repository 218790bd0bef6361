// How a producer waits for what it has written, and how it ends.
#include <algorithm>
#include <new>
#include <utility>

#include "client/producer.hpp"

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kPing = 1;
constexpr milliseconds kBetweenTries{20};
constexpr milliseconds kBetweenLooks{1};

}  // namespace

int Producer::flush(int level, Deadline deadline) {
  if (!is_owner()) return flush_once(level, deadline);  // for the others the link is what it is
  if (doing_ != Doing::nothing) return FASTLOG_ERROR_FULL;
  const Flushing flushing(*this);
  return flush_as_owner(level, deadline);
}

/// Waits for a daemon that is restarting.
int Producer::flush_as_owner(int level, Deadline deadline) {
  while (true) {
    if (!link_ || link_.is_broken()) {
      while (!connect_again(deadline)) {
        if (steady_clock::now() >= deadline) return FASTLOG_ERROR_CLOSED;
        std::this_thread::sleep_for(kBetweenTries);
      }
    }
    const int result = flush_once(level, deadline);
    if (result != FASTLOG_ERROR_CLOSED || steady_clock::now() >= deadline) return result;
    std::this_thread::sleep_for(kBetweenTries);
  }
}

int Producer::flush_once(int level, Deadline deadline) {
  const std::unique_lock lock(slow_, deadline);  // another one may be waiting for longer
  if (!lock) return FASTLOG_ERROR_TIMEOUT;
  const std::uint64_t number = last_number_.load(std::memory_order_acquire);
  if (number == 0 && where_ == Where::nowhere) return FASTLOG_OK;  // it has nothing
  if (!link_) return FASTLOG_ERROR_CLOSED;
  if (next_.waits) {
    const Handed handed = hand_over(deadline);
    if (handed == Handed::some) return FASTLOG_ERROR_TIMEOUT;
    if (is_owner()) handed == Handed::all ? settle() : lose_link();
    if (handed == Handed::broken) return FASTLOG_ERROR_CLOSED;
  }
  if (level != FASTLOG_ACCEPTED && number <= reached(level)) {
    return say();  // nobody else says it twice
  }
  std::string message;
  if (level == FASTLOG_ACCEPTED) {
    wire::append_ping(message, kPing);
  } else {
    wire::append_flush(message, number,
                       level == FASTLOG_SYNCED ? wire::Wanted::synced : wire::Wanted::stored);
  }
  if (const Sent sent = ask(message, deadline); sent != Sent::all)
    return sent == Sent::broken || link_.is_broken() ? FASTLOG_ERROR_CLOSED : FASTLOG_ERROR_TIMEOUT;
  return listen_until(level, number, deadline);
}

/// What it waits for may have been heard already, by whoever sent while there was no room.
int Producer::listen_until(int level, std::uint64_t number, Deadline deadline) {
  wire::NativeReply reply;
  bool answered = false;
  while (level == FASTLOG_ACCEPTED ? !answered : number > reached(level)) {
    const Link::Heard heard = link_.hear(reply, deadline);
    if (heard == Link::Heard::nothing) return FASTLOG_ERROR_TIMEOUT;
    if (heard == Link::Heard::broken) return FASTLOG_ERROR_CLOSED;
    note(reply);
    answered = reply.type == wire::NativeType::pong && reply.number == kPing;
  }
  return say();
}

/// With the lock. Once: what was refused, and what may be in the log or lost because its connection broke.
int Producer::say() {
  return std::exchange(to_say_, false) ? FASTLOG_ERROR_REFUSED : FASTLOG_OK;
}

bool Producer::is_drained(int level, bool& to_say) {
  // Who holds the lock may be waiting for the daemon, and the ring may be gone when it is done: ask again later.
  const std::unique_lock lock(slow_, std::try_to_lock);
  if (!lock || owner_.load() != std::thread::id() || !holds_nothing()) return false;
  const std::uint64_t last = last_number_.load(std::memory_order_acquire);
  const bool listens = link_ && reached(level) < last && hear();
  if (listens && reached(level) < last && (level == FASTLOG_SYNCED || ask_once(last))) return false;
  to_say = to_say || to_say_ || (where_ == Where::socket && stored_ < last);
  return true;
}

/// With the lock. What an ended thread's daemon has not said, it says when it is asked. False: the connection is broken.
bool Producer::ask_once(std::uint64_t number) {
  if (asked_) return true;
  std::string message;
  try {
    wire::append_flush(message, number, wire::Wanted::stored);
  } catch (const std::bad_alloc&) {
    return true;  // another time
  }
  const std::ptrdiff_t sent = link_.send_some(message);
  asked_ = sent > 0;
  return sent >= 0;
}

bool Producer::take_place() {
  std::thread::id nobody;
  return owner_.compare_exchange_strong(nobody, std::this_thread::get_id());
}

bool Producer::finish(Deadline deadline) {
  begin(Doing::flush);  // for good
  while (true) {
    tell_dropped();
    if (holds_nothing()) return true;
    const bool gone = !link_ || link_.is_broken();  // while it is there it still reads
    const auto now = steady_clock::now();
    if (gone && connect_again(std::min(deadline, now + milliseconds(200)))) continue;
    if (next_.waits) {
      const std::lock_guard lock(slow_);
      proceed(std::min(deadline, now + kBetweenTries));
    }
    if (now >= deadline) return !gone && !next_.waits;
    std::this_thread::sleep_for(gone ? kBetweenTries : kBetweenLooks);
  }
}

/// Both processes have the socket: shutdown() would end the parent's. The memory is unmapped here alone.
void Producer::abandon() {
  link_.close();
  memory_ = ring::SharedMemory();
  next_ = Next();
  where_ = Where::nowhere;
}

}  // namespace fastlogd::client
