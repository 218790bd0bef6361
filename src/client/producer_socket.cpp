// How a producer's records go over the socket, where the daemon has given no memory; and how it hears what is said of them.
#include <algorithm>
#include <new>
#include <utility>

#include "client/producer.hpp"

namespace fastlogd::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kToEndAMessage{100};  // where nobody shall wait
constexpr milliseconds kWaitSlice{20};       // then hear what the daemon has said meanwhile
// A daemon may refuse each record in a message of its own. A socket holds some two hundred of them.
constexpr unsigned kRecordsPerListening = 64;

}  // namespace

int Producer::commit_to_socket(Priority priority, std::uint32_t message_start, std::size_t n) {
  int result = FASTLOG_ERROR_MEMORY;
  try {
    fill_batch(priority, message_start, {reserved_, n});
    result = send_batch();
  } catch (const std::bad_alloc&) {
    buffer_.clear();
  }
  if (result == FASTLOG_OK) {
    last_number_.store(next_number_++, std::memory_order_release);
    if (++unheard_ >= kRecordsPerListening) listen_between();
  } else {
    static_cast<void>(drop(result));
  }
  end();
  return result;
}

void Producer::fill_batch(Priority priority, std::uint32_t message_start, std::string_view slice) {
  wire::NativeBatch batch(buffer_, next_number_, wire::Wanted::none);
  batch.add({.priority = priority,
             .sender_time_ns = (settings_->flags & FASTLOG_TIMES) != 0 ? realtime_ns() : kNoTime,
             .structured_data = message_start == 0 ? std::string_view() : slice.substr(0, message_start - 1),
             .text = slice.substr(message_start)});
  batch.finish();
}

/// A BATCH that has been begun must be ended: in time, or with the connection.
int Producer::send_batch() {
  const auto limit = settings_->wait_ms_max == 0 ? Deadline::max()
                                                 : steady_clock::now() + milliseconds(settings_->wait_ms_max);
  const int too_late = settings_->drops() ? FASTLOG_ERROR_FULL : FASTLOG_ERROR_TIMEOUT;
  Sent sent = Sent::late;
  std::ptrdiff_t begun = 0;
  {
    // Another thread's FLUSH may be waiting for room in the socket.
    const std::unique_lock sending(sending_,
                                   settings_->drops() ? steady_clock::now() + kToEndAMessage : limit);
    if (!sending) {
      buffer_.clear();
      return too_late;
    }
    begun = link_.send_some(buffer_);
    if (begun == 0 && settings_->drops()) {
      sent = hear_if_free() ? Sent::late : Sent::broken;
    } else if (begun >= 0) {
      const auto end = settings_->drops() ? steady_clock::now() + kToEndAMessage : limit;
      sent = send_all(std::string_view(buffer_).substr(static_cast<std::size_t>(begun)), end, false);
    } else {
      sent = Sent::broken;
    }
  }
  buffer_.clear();
  if (sent == Sent::all) return FASTLOG_OK;
  if (sent == Sent::late && begun == 0 && settings_->drops()) return too_late;
  break_link();
  return sent == Sent::broken ? FASTLOG_ERROR_CLOSED : too_late;
}

/// With sending_. A daemon whose words nobody hears reads nothing more, and nothing would ever find room.
Producer::Sent Producer::send_all(std::string_view bytes, Deadline deadline, bool has_lock) {
  while (!bytes.empty()) {
    const std::ptrdiff_t n = link_.send_some(bytes);
    if (n < 0) return Sent::broken;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    if (n != 0) continue;
    if (!(has_lock ? hear() : hear_if_free())) return Sent::broken;
    const auto now = steady_clock::now();
    if (now >= deadline) return Sent::late;
    link_.wait_for_room(std::min(deadline, now + kWaitSlice));
  }
  return Sent::all;
}

/// With the lock. Beside the owner's messages, not in the middle of one; it may be waiting for a daemon that is to be heard.
Producer::Sent Producer::ask(std::string_view message, Deadline deadline) {
  while (true) {
    const auto now = steady_clock::now();
    const std::unique_lock sending(sending_, std::min(deadline, now + kWaitSlice));
    if (sending) return send_all(message, deadline, true);
    if (!hear()) return Sent::broken;
    if (now >= deadline) return Sent::late;
  }
}

/// The owner. A thread that listens lets go of the lock.
void Producer::break_link() {
  link_.shut_down();
  const std::lock_guard lock(slow_);
  link_.close();
}

/// The owner, behind a record. The next call finds that the connection is gone, and makes another one first.
void Producer::listen_between() {
  unheard_ = 0;
  if (!hear_if_free()) break_link();
}

/// Who holds the lock listens, or will when it is sent what it waits to send.
bool Producer::hear_if_free() {
  const std::unique_lock lock(slow_, std::try_to_lock);
  return !lock || hear();
}

/// With the lock. What the daemon has said by now, for the next flush. False: the connection is broken.
bool Producer::hear() {
  wire::NativeReply reply;
  while (true) {
    const Link::Heard heard = link_.hear(reply, Deadline{});
    if (heard != Link::Heard::reply) return heard == Link::Heard::nothing;
    note(reply);
  }
}

/// With the lock.
void Producer::note(const wire::NativeReply& reply) {
  if (reply.type == wire::NativeType::refused) to_say_ = true;
  if (reply.type != wire::NativeType::ack) return;
  stored_ = reply.stored;
  synced_ = reply.synced;
}

}  // namespace fastlogd::client
