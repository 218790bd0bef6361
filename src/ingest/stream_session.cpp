#include "ingest/stream_session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "ingest/io_thread.hpp"
#include "ingest/native_session.hpp"
#include "ingest/sockets.hpp"
#include "ingest/unread.hpp"
#include "wire/first_bytes.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {
namespace {

constexpr std::size_t kReadBudget = 8 * limits::kReadBytes;  // per wake: then it is somebody else's turn
constexpr std::size_t kFramedAtOnce = 128;
constexpr std::size_t kTailBytesMin = 4096;
constexpr std::int64_t kIdleNanos = kNanosPerSecond;
constexpr std::uint32_t kOverflowId = 65534;  // a peer in another user namespace: nobody we know

std::uint32_t known_id(std::uint32_t id) {
  return id == kOverflowId ? kUnknownId : id;
}

}  // namespace

/// Counts what nobody will store, of a peer that may not have been asked yet what it speaks.
class StreamSession::UnstoredMessages {
 public:
  explicit UnstoredMessages(StreamSession& session)
      : session_(session), decoder_(session.thread_.limits().record_bytes_max) {
    if (session.first_bytes_known_) kind_ = wire::FirstBytes::text;
  }

  /// How much of `bytes` is done with.
  std::size_t take(std::string_view bytes) {
    if (kind_ == wire::FirstBytes::undecided) kind_ = wire::classify_first_bytes(bytes);
    if (kind_ == wire::FirstBytes::undecided) return 0;
    if (kind_ == wire::FirstBytes::text) return frame(bytes, &wire::StreamFramer::split);
    if (kind_ == wire::FirstBytes::native && session_.listener_->takes_native()) return decode(bytes);
    return bytes.size();  // no records
  }
  /// All there were; `rest` is the end.
  std::uint64_t finish(std::string_view rest) {
    if (kind_ == wire::FirstBytes::text || kind_ == wire::FirstBytes::undecided)
      static_cast<void>(frame(rest, &wire::StreamFramer::finish));
    return count_;
  }

 private:
  std::size_t frame(std::string_view bytes, auto split) {
    std::array<wire::FramedMessage, kFramedAtOnce> messages;
    for (std::size_t taken = 0;;) {
      const wire::FrameResult result = (session_.framer_.*split)(bytes.substr(taken), messages);
      count_ += result.messages;
      taken += result.consumed;
      if (result.error != wire::FrameError::none) return bytes.size();
      if (result.consumed == 0 || taken == bytes.size()) return taken;
    }
  }
  std::size_t decode(std::string_view bytes) {
    const auto greeted = [this](const wire::NativeHello& hello) {
      known_ = session_.thread_.known_number(*session_.listener_,
                                             {.id = hello.client, .uid = session_.origin_.attested.uid});
    };
    return count_records(decoder_, bytes, greeted,
                         [this](std::uint64_t number) { count_ += number > known_ ? 1 : 0; });
  }

  StreamSession& session_;
  wire::FirstBytes kind_ = wire::FirstBytes::undecided;
  wire::NativeDecoder decoder_;
  std::uint64_t known_ = 0;
  std::uint64_t count_ = 0;
};

StreamSession::StreamSession(IoThread& thread, ListenerPtr listener, UniqueFd fd)
    : Channel(thread, std::move(listener), std::move(fd)),
      framer_(listener_->framing(), thread.limits().record_bytes_max) {
  origin_.attested.transport = listener_->transport();
  origin_.format = listener_->format();
  origin_.of_whole_block = true;
  if (listener_->options.transport == ListenerTransport::unix_stream) look_up_peer();
  last_read_ns_ = tick_ns_ = monotonic_ns();
  counters().open_connections.fetch_add(1, std::memory_order_relaxed);
}

StreamSession::~StreamSession() = default;

/// The process that connected, and the name it has now: asked once. Not SO_PASSCRED, which would split reads
/// by sender.
void StreamSession::look_up_peer() {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  if (::getsockopt(waiter_.fd(), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return;
  origin_.attested.uid = known_id(peer.uid);
  origin_.attested.gid = known_id(peer.gid);
  if (peer.pid == 0) return;  // in another pid namespace
  origin_.attested.pid = static_cast<std::uint32_t>(peer.pid);
  const std::size_t name_bytes = read_process_name(origin_.attested.pid, process_name_);
  origin_.attested.identifier = std::string_view(process_name_.data(), name_bytes);
}

void StreamSession::open() {
  ready();
}

void StreamSession::ready() {
  // A drain is bounded by what was queued when it began, a backlog by one read; and no event announces
  // either.
  for (std::size_t done = 0; draining_ || backlog_ || done < kReadBudget; done += limits::kReadBytes) {
    switch (read_block()) {
      case Progress::read:
        break;
      case Progress::drained:
        return wait();
      case Progress::paused:
        return pause();
      case Progress::finished:
        return;
    }
  }
  wait();
}

std::size_t StreamSession::payload_wanted(const BlockWriter& writer) const {
  return std::min(tail_bytes_ + limits::kReadBytes, writer.payload_bytes_max(limits::kBlockMessagesMax));
}

bool StreamSession::has_room() {
  BlockWriter& writer = thread_.writer(*listener_);
  return writer.has_space(payload_wanted(writer), limits::kBlockMessagesMax);
}

StreamSession::Progress StreamSession::read_block() {
  BlockWriter& writer = thread_.writer(*listener_);
  const std::size_t payload_bytes_max = payload_wanted(writer);
  if (!writer.begin(payload_bytes_max, limits::kBlockMessagesMax)) return Progress::paused;
  framer_.set_record_bytes_max(thread_.limits().record_bytes_max);
  return fill_block(writer, payload_bytes_max);
}

// Walk 1 listener
StreamSession::Progress StreamSession::fill_block(BlockWriter& writer, std::size_t payload_bytes_max) {
  std::size_t got = 0;
  if (!backlog_ && !ended_) {
    std::size_t room = payload_bytes_max - tail_bytes_;
    if (draining_) room = std::min(room, drain_bytes_left_);
    const ssize_t n =
        room == 0 ? 0 : ::recv(waiter_.fd(), writer.payload() + tail_bytes_, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) return Progress::read;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !draining_) return Progress::drained;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) close_reason_ = CloseReason::error;
    if (n <= 0) {
      ended_ = true;
    } else {
      got = static_cast<std::size_t>(n);
      last_read_ns_ = tick_ns_;
      if (draining_) drain_bytes_left_ -= got;
      counters().received_bytes.add(got);
    }
  }
  if (tail_bytes_ > 0) std::memcpy(writer.payload(), tail_.get(), tail_bytes_);
  return process(writer, tail_bytes_ + got);
}

StreamSession::Progress StreamSession::process(BlockWriter& writer, std::size_t bytes) {
  const std::string_view received(writer.payload(), bytes);
  if (!first_bytes_known_ && leave_text(received)) return Progress::finished;
  std::size_t consumed = 0;
  BlockEnd end = BlockEnd::all_framed;
  if (first_bytes_known_) {
    writer.received(bytes, realtime_ns(), thread_.utc_offset_seconds(), listener_->host_expected());
    end = frame(writer, received, consumed);
  }
  keep_tail(
      received.substr(consumed));  // before the reservation is given up or its bytes belong to the appender
  backlog_ = end == BlockEnd::block_full;
  writer.commit(counters());
  if (end == BlockEnd::bad_framing) {
    listener_->complaints.bad_framing.log(
        diag::Level::warning,
        "listener {}: the connection of {} was closed: no octet count where one was due (RFC 6587)",
        listener_->options.name, describe_peer(waiter_.fd()));
    close(CloseReason::abusive);
    return Progress::finished;
  }
  if (ended_ && !backlog_) {
    close(close_reason_);
    return Progress::finished;
  }
  return Progress::read;
}

/// True: the peer doesn't speak text; this session has ended.
bool StreamSession::leave_text(std::string_view bytes) {
  const wire::FirstBytes kind = wire::classify_first_bytes(bytes);
  first_bytes_known_ = kind == wire::FirstBytes::text || (kind == wire::FirstBytes::undecided && ended_);
  if (first_bytes_known_ || kind == wire::FirstBytes::undecided) return false;
  if (kind == wire::FirstBytes::native && listener_->takes_native()) {
    become_native(bytes);
    return true;
  }
  listener_->complaints.not_text[static_cast<std::size_t>(kind)].log(
      diag::Level::warning, "listener {}: the connection of {} was refused: {}", listener_->options.name,
      describe_peer(waiter_.fd()), wire::refusal_text(kind));
  if (kind == wire::FirstBytes::native) {
    std::array<char, limits::kNativeReplyBytesMax> answer;
    const std::size_t bytes_out = wire::write_error(answer, wire::NativeError::not_here,
                                                    "this listener's format is not auto: it takes text");
    static_cast<void>(::send(waiter_.fd(), answer.data(), bytes_out, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
  close(CloseReason::not_text);
  return true;
}

/// `received` lies in the ring's reserved block, which is given up: the first bytes come from the new session's tail.
void StreamSession::become_native(std::string_view received) {
  keep_tail(received);
  NativeStart start{.origin = origin_,
                    .process_name = process_name_,
                    .received = std::move(tail_),
                    .received_bytes = tail_bytes_,
                    .received_capacity = tail_capacity_};
  auto native = std::make_unique<NativeSession>(thread_, listener_, waiter_.release(), std::move(start));
  NativeSession& session = *native;
  tail_bytes_ = tail_capacity_ = 0;
  finish();
  thread_.adopt(std::move(native));
  if (draining_) session.drain(close_reason_);
}

// Walk 2 framing
StreamSession::BlockEnd StreamSession::frame(BlockWriter& writer, std::string_view bytes,
                                             std::size_t& consumed) {
  std::array<wire::FramedMessage, kFramedAtOnce> messages;
  while (true) {
    const std::size_t room = std::min(messages.size(), writer.room());
    if (room == 0) return consumed < bytes.size() ? BlockEnd::block_full : BlockEnd::all_framed;
    const wire::StreamFramer before = framer_;
    const std::string_view rest = bytes.substr(consumed);
    const auto split = [&](std::size_t messages_max) {
      const std::span<wire::FramedMessage> out = std::span(messages).first(messages_max);
      return ended_ ? framer_.finish(rest, out) : framer_.split(rest, out);
    };
    wire::FrameResult result = split(room);
    const std::size_t added = add_all(writer, rest, std::span(messages).first(result.messages));
    if (added < result.messages) {  // no room for a new sender: take back what was framed behind it
      framer_ = before;
      if (added > 0) consumed += split(added).consumed;
      return BlockEnd::block_full;
    }
    consumed += result.consumed;
    if (result.error != wire::FrameError::none) return BlockEnd::bad_framing;
    if (result.messages < room && (!ended_ || consumed == bytes.size())) return BlockEnd::all_framed;
  }
}

std::size_t StreamSession::add_all(BlockWriter& writer, std::string_view bytes,
                                   std::span<const wire::FramedMessage> messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const wire::FramedMessage& message = messages[i];
    const std::string_view text = bytes.substr(message.offset, message.bytes);
    if (!writer.add(text, message.truncated, message.malformed, origin_, hint_)) return i;
  }
  return messages.size();
}

/// `rest` points into the ring. A connection's first bytes bring the small buffer, so that a later read which happens to
/// end inside a line allocates nothing; a longer tail makes it grow, at most to what the limits allow.
void StreamSession::keep_tail(std::string_view rest) {
  if (rest.size() > tail_capacity_ || tail_capacity_ == 0) {
    tail_capacity_ = std::bit_ceil(std::max(rest.size(), kTailBytesMin));
    tail_ = std::make_unique_for_overwrite<char[]>(tail_capacity_);
  }
  if (!rest.empty()) std::memcpy(tail_.get(), rest.data(), rest.size());
  tail_bytes_ = rest.size();
}

/// Some clients send no delimiter at all, ever: after a second of silence what they sent is a message.
void StreamSession::tick(std::int64_t monotonic_now_ns) {
  tick_ns_ = monotonic_now_ns;
  const bool unfinished = tail_bytes_ > 0 || framer_.skips_without_end();
  if (!unfinished || backlog_ || ended_ || !waiting() || framer_.delimiter() >= 0 ||
      framer_.mode() == wire::FramingMode::octet_counting || monotonic_now_ns - last_read_ns_ < kIdleNanos) {
    return;
  }
  flush_idle();
}

void StreamSession::flush_idle() {
  if (tail_bytes_ == 0) return begin_anew();  // the message was cut, and this is its end
  BlockWriter& writer = thread_.writer(*listener_);
  if (!writer.begin(tail_bytes_, limits::kBlockMessagesMax)) return;  // the next tick tries again
  std::memcpy(writer.payload(), tail_.get(), tail_bytes_);
  ended_ = true;  // as if: the framer is asked for the rest
  if (!first_bytes_known_ && leave_text({writer.payload(), tail_bytes_})) return;
  writer.received(tail_bytes_, realtime_ns(), thread_.utc_offset_seconds(), listener_->host_expected());
  std::size_t consumed = 0;
  static_cast<void>(frame(writer, {writer.payload(), tail_bytes_}, consumed));
  keep_tail(std::string_view(writer.payload(), tail_bytes_).substr(consumed));
  writer.commit(counters());
  ended_ = false;
  begin_anew();
}

void StreamSession::begin_anew() {
  framer_ = wire::StreamFramer(listener_->framing(), thread_.limits().record_bytes_max);
}

void StreamSession::drain(CloseReason reason) {
  if (draining_ || finished()) return;
  draining_ = true;
  close_reason_ = reason;
  // A Unix peer is told at once (EPIPE) that nothing more is taken; TCP has no such word, so what is there
  // now counts.
  if (listener_->options.transport == ListenerTransport::unix_stream) ::shutdown(waiter_.fd(), SHUT_RD);
  drain_bytes_left_ = queued_bytes(waiter_.fd());
  if (waiting()) ready();  // else it is paused, and the space signal calls ready()
}

void StreamSession::abandon() {
  if (finished()) return;
  thread_.count_abandoned(*listener_, count_unstored());
  close(CloseReason::shutdown);
}

/// Messages of the tail, and of what the socket holds.
std::uint64_t StreamSession::count_unstored() {
  const std::size_t unread = ended_ ? 0 : draining_ ? drain_bytes_left_ : queued_bytes(waiter_.fd());
  UnstoredMessages messages(*this);
  const std::string rest = take_unread(waiter_.fd(), unread, std::string(tail_.get(), tail_bytes_),
                                       [&](std::string_view text) { return messages.take(text); });
  return messages.finish(rest);
}

void StreamSession::close(CloseReason reason) {
  if (finished()) return;
  counters().closed_connections[static_cast<std::size_t>(reason)].add();
  counters().open_connections.fetch_sub(1, std::memory_order_relaxed);
  thread_.shared().open_connections.fetch_sub(1, std::memory_order_relaxed);
  finish();
}

}  // namespace fastlogd::ingest
