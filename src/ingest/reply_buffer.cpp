#include "ingest/reply_buffer.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/result.hpp"

namespace fastlogd::ingest {

void ReplyBuffer::welcome(std::uint64_t next_number, std::size_t record_bytes_max) {
  FASTLOGD_CHECK(has_room());
  bytes_ += wire::write_welcome(room(), next_number, record_bytes_max);
}

void ReplyBuffer::pong(std::uint64_t number) {
  FASTLOGD_CHECK(has_room());
  bytes_ += wire::write_pong(room(), number);
}

void ReplyBuffer::no_memory(wire::ShareRefusal why) {
  FASTLOGD_CHECK(has_room());
  bytes_ += wire::write_memory_refused(room(), why);
}

void ReplyBuffer::error(wire::NativeError error, std::string_view text) {
  FASTLOGD_CHECK(has_room());
  flush_refusal();
  bytes_ += wire::write_error(room(), error, text);
}

bool ReplyBuffer::extend_refusal(std::uint64_t first, std::uint64_t last, wire::Refusal why) {
  if (refused_last_ == 0 || refused_last_ + 1 != first || refusal_ != why) return false;
  refused_last_ = last;
  return true;
}

void ReplyBuffer::refuse(std::uint64_t first, std::uint64_t last, wire::Refusal why) {
  if (extend_refusal(first, last, why)) return;
  FASTLOGD_CHECK(has_room());
  flush_refusal();
  refused_first_ = first;
  refused_last_ = last;
  refusal_ = why;
}

void ReplyBuffer::flush_refusal() {
  if (refused_last_ == 0) return;
  bytes_ += wire::write_refused(room(), refused_first_, refused_last_, refusal_);
  refused_last_ = 0;
}

bool ReplyBuffer::acknowledge(const AckNumbers& reached) {
  const auto [stored, synced] = reached;
  if (ack_waits_ || !has_room() || (stored <= stored_ && synced <= synced_)) return false;
  flush_refusal();
  bytes_ += wire::write_ack(room(), stored, synced);
  stored_ = stored;
  synced_ = synced;
  ack_waits_ = true;
  return true;
}

ReplyBuffer::Sent ReplyBuffer::send(int fd, std::int64_t now_ns) {
  if (has_room()) flush_refusal();
  if (bytes_ == 0) return Sent::all;
  const ssize_t n = ::send(fd, buffer_.data(), bytes_, MSG_DONTWAIT | MSG_NOSIGNAL);
  const bool later =
      errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS || errno == ENOMEM;
  if (n < 0 && !later) {
    forget_all();
    return Sent::nobody_listens;
  }
  if (n > 0) {
    bytes_ -= static_cast<std::size_t>(n);
    std::memmove(buffer_.data(), buffer_.data() + n, bytes_);
    blocked_since_ns_ = 0;
  }
  if (bytes_ == 0) {
    ack_waits_ = false;
    return Sent::all;
  }
  if (blocked_since_ns_ == 0) blocked_since_ns_ = now_ns;
  return Sent::blocked;
}

void ReplyBuffer::forget_all() {
  bytes_ = 0;
  ack_waits_ = false;
  blocked_since_ns_ = 0;
}

}  // namespace fastlogd::ingest
