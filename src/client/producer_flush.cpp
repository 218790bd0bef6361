// How a producer waits for what it has written, and how it ends.
#include <algorithm>

#include "client/producer.hpp"

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kPing = 1;
constexpr milliseconds kBetweenTries{20};
constexpr milliseconds kBetweenLooks{1};

}  // namespace

/// The owner waits for a daemon that is restarting; for the others the link is what it is.
int Producer::flush(int level, Deadline deadline) {
  while (true) {
    if (is_owner() && (!link_ || link_.is_broken())) {
      while (!connect_again(deadline)) {
        if (steady_clock::now() >= deadline) return FASTLOG_ERROR_CLOSED;
        std::this_thread::sleep_for(kBetweenTries);
      }
    }
    const int result = flush_once(level, deadline);
    if (result != FASTLOG_ERROR_CLOSED || !is_owner() || steady_clock::now() >= deadline) return result;
  }
}

int Producer::flush_once(int level, Deadline deadline) {
  const std::lock_guard lock(slow_);
  const std::uint64_t number = last_number_.load(std::memory_order_acquire);
  if (number == 0 && where_ == Where::nowhere) return FASTLOG_OK;  // it has nothing
  if (!link_) return FASTLOG_ERROR_CLOSED;
  if (level != FASTLOG_ACCEPTED && number <= (level == FASTLOG_SYNCED ? synced_ : stored_)) {
    return FASTLOG_OK;  // nobody says it twice
  }
  std::string message;
  if (level == FASTLOG_ACCEPTED) {
    wire::append_ping(message, kPing);
  } else {
    wire::append_flush(message, number,
                       level == FASTLOG_SYNCED ? wire::Wanted::synced : wire::Wanted::stored);
  }
  {
    const std::lock_guard sending(sending_);
    if (!link_.send(message, deadline)) return FASTLOG_ERROR_CLOSED;
  }
  return listen_until(level, number, deadline);
}

int Producer::listen_until(int level, std::uint64_t number, Deadline deadline) {
  bool refused = false;
  wire::NativeReply reply;
  while (true) {
    const Link::Heard heard = link_.hear(reply, deadline);
    if (heard == Link::Heard::nothing) return FASTLOG_ERROR_TIMEOUT;
    if (heard == Link::Heard::broken) return FASTLOG_ERROR_CLOSED;
    refused = refused || reply.type == wire::NativeType::refused;
    if (reply.type == wire::NativeType::ack) {
      stored_ = reply.stored;
      synced_ = reply.synced;
    }
    const bool done = level == FASTLOG_ACCEPTED
                          ? reply.type == wire::NativeType::pong && reply.number == kPing
                      : level == FASTLOG_STORED ? stored_ >= number
                                                : synced_ >= number;
    if (done) return refused ? FASTLOG_ERROR_REFUSED : FASTLOG_OK;
  }
}

bool Producer::finish(Deadline deadline) {
  while (!is_drained()) {
    const bool gone = !link_ || link_.is_broken();  // while it is there it still reads
    if (gone && connect_again(std::min(deadline, steady_clock::now() + milliseconds(200)))) continue;
    if (steady_clock::now() >= deadline) return !gone;
    std::this_thread::sleep_for(gone ? kBetweenTries : kBetweenLooks);
  }
  return true;
}

/// Both processes have the socket: shutdown() would end the parent's. The memory is unmapped here alone.
void Producer::abandon() {
  link_.close();
  memory_ = ring::SharedMemory();
  where_ = Where::nowhere;
}

}  // namespace fastlogd::client
