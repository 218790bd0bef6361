#include "client/producer.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenTries{100};
// In a call to log. A daemon that is there answers in a fraction of one; the socket of one that is not may take connections
// all the same (systemd holds it), and nobody's call shall wait long for that.
constexpr milliseconds kHandshakeInCall{100};
constexpr int kTriesApart =
    10;  // times what the last one took: of a thread's time a tenth goes there at most
constexpr milliseconds kWaitSlice{20};  // then see whether the daemon is still there

}  // namespace

/// Whoever logs has no use for an exception: no memory is one more reason why there is no link.
bool Producer::connect(Deadline deadline) {
  const std::lock_guard lock(slow_);
  const auto began = steady_clock::now();
  try {
    if (open_link(deadline)) {
      proceed(began);  // what takes no waiting
      return static_cast<bool>(link_);
    }
  } catch (const std::bad_alloc&) {
    error_ = "out of memory";  // needs none
  }
  const auto now = steady_clock::now();
  next_try_ = now + std::max<steady_clock::duration>(kBetweenTries, kTriesApart * (now - began));
  look_every_ = 0;  // with every record, whether it is time to try again
  return false;
}

/// With the lock.
bool Producer::open_link(Deadline deadline) {
  const std::uint64_t first = first_unread();
  Result<Link> link = Link::open(settings_->link, id_, first, deadline);
  if (!link) {
    error_ = link.error().message();
    return false;
  }
  error_.clear();
  if (where_ == Where::socket && stored_ + 1 < first) to_say_ = true;
  stored_ = synced_ = first - 1;  // the protocol's first values
  asked_ = false;
  take(std::move(*link));
  return true;
}

bool Producer::connect_again(Deadline deadline) {
  {
    const std::lock_guard lock(slow_);
    if (link_) static_cast<void>(hear());  // its last words: the next daemon won't repeat them
    lose_link();
  }
  return connect(deadline);
}

bool Producer::connect_in_call() {
  if (!connect_again(steady_clock::now() + kHandshakeInCall)) return false;
  if (next_.waits) proceed_in_call(patience());
  return static_cast<bool>(link_);
}

bool Producer::reconnect_sometimes() {
  return steady_clock::now() >= next_try_ && connect_in_call();
}

/// How long a call waits for room.
Deadline Producer::patience() const {
  const auto now = steady_clock::now();
  if (settings_->drops()) return now;
  const milliseconds most =
      settings_->wait_ms_max == 0 ? kHandshakeInCall : milliseconds(settings_->wait_ms_max);
  return now + std::min(most, kHandshakeInCall);
}

/// The daemon sleeps, or has said that it goes, or nothing was given back since the last look; or not all is there yet.
void Producer::look_at_daemon(bool asked) {
  if (next_.waits) return proceed_in_call(steady_clock::now());
  if (!link_) {
    static_cast<void>(reconnect_sometimes());
    return;
  }
  tell_dropped();
  looked_at_ = ring_.written();
  const std::uint64_t read = ring_.read();
  const bool moves = read != std::exchange(read_then_, read);
  if (!asked && moves) return;
  const bool alive = asked && !ring_.closed() ? link_.send_bell() : !link_.is_broken();
  if (!alive) static_cast<void>(connect_in_call());
}

int Producer::refuse() {
  dropped_.fetch_add(1, std::memory_order_relaxed);
  dropped_untold_.fetch_add(1, std::memory_order_relaxed);
  return FASTLOG_ERROR_FULL;
}

int Producer::drop(int why) {
  static_cast<void>(refuse());
  tell_dropped();
  return why;
}

/// While no daemon looks at the ring nobody would read it: the next one hears of it.
void Producer::tell_dropped() {
  if (where_ != Where::shared || !link_ || next_.waits ||
      dropped_untold_.load(std::memory_order_relaxed) == 0)
    return;
  ring_.count_dropped(dropped_untold_.exchange(0, std::memory_order_relaxed));
}

char* Producer::reserve_slowly(std::size_t n, int& result) {
  int made = FASTLOG_OK;
  try {
    made = make_room(n);
  } catch (const std::bad_alloc&) {  // without shared memory
    made = FASTLOG_ERROR_MEMORY;
  }
  if (made != FASTLOG_OK) {
    result = drop(made);
    end();
    return nullptr;
  }
  reserved_bytes_ = n;
  return where_ == Where::shared ? reserved_ + start_ : reserved_;
}

/// Sets reserved_. It may be in another ring than there was, or in none.
int Producer::make_room(std::size_t n) {
  const auto limit = settings_->wait_ms_max == 0 ? Deadline::max()
                                                 : steady_clock::now() + milliseconds(settings_->wait_ms_max);
  while (true) {
    if (where_ != Where::shared && !link_ && !reconnect_sometimes()) return FASTLOG_ERROR_CLOSED;
    if (n > record_bytes_max_) return FASTLOG_ERROR_TOO_LARGE;
    if (where_ == Where::socket) {
      text_.resize(n);
      reserved_ = text_.data();
      return FASTLOG_OK;
    }
    if (const auto room = ring_.reserve(start_ + n); !room.empty()) {
      reserved_ = reinterpret_cast<char*>(room.data());
      return FASTLOG_OK;
    }
    if (look_for_room()) continue;
    if (settings_->drops()) return FASTLOG_ERROR_FULL;
    const auto now = steady_clock::now();
    if (now >= limit) return FASTLOG_ERROR_TIMEOUT;
    const auto slice = std::min<steady_clock::duration>(kWaitSlice, limit - now);
    if (next_.waits) {
      proceed_in_call(now + slice);
    } else {
      static_cast<void>(ring_.wait_for_space(start_ + n, slice));
    }
  }
}

/// The ring is full. True: it is another one now, or none. The daemon may be resting: it is rung for, once for each time
/// that it has given back nothing since.
bool Producer::look_for_room() {
  if (next_.waits) {
    proceed_in_call(steady_clock::now());
    return !next_.waits && link_;
  }
  if (const std::uint64_t read = ring_.read(); link_ && std::exchange(full_at_, read) != read) {
    static_cast<void>(link_.send_bell());
  }
  return (!link_ || link_.is_broken()) && reconnect_sometimes() && !next_.waits;
}

}  // namespace fastlogd::client
