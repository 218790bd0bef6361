#include "ingest/native_session.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "ingest/io_thread.hpp"
#include "ingest/shared_session.hpp"
#include "ingest/sockets.hpp"

namespace fastlogd::ingest {
namespace {

constexpr std::size_t kReadBudget = 8 * limits::kReadBytes;  // per wake: then it is somebody else's turn

}  // namespace

NativeSession::NativeSession(IoThread& thread, ListenerPtr listener, UniqueFd fd, NativeStart start)
    : Channel(thread, std::move(listener), std::move(fd)),
      decoder_(thread.limits().record_bytes_max),
      origin_(start.origin),
      process_name_(start.process_name),
      tail_(std::move(start.received)),
      tail_capacity_(start.received_capacity),
      tail_bytes_(start.received_bytes),
      tick_ns_(monotonic_ns()) {
  origin_.attested.identifier =
      std::string_view(process_name_.data(), start.origin.attested.identifier.size());
  counters().native_connections.add();
}

NativeSession::~NativeSession() = default;

AckBoard& NativeSession::board() {
  return thread_.acks(*listener_);
}

void NativeSession::open() {
  board().join(*this);
  ready();
}

void NativeSession::ready() {
  // A drain is bounded by what was queued when it began, a backlog by one read; and no event announces either.
  for (std::size_t done = 0; draining_ || backlog_ || done < kReadBudget; done += limits::kReadBytes) {
    switch (read_block()) {
      case Progress::read:
        break;
      case Progress::drained:
        return wait();
      case Progress::paused:
        return pause();
      case Progress::stalled:
        stalled_ = true;
        return;
      case Progress::finished:
        return;
    }
  }
  wait();
}

std::size_t NativeSession::payload_wanted(const BlockWriter& writer) const {
  return std::min(tail_bytes_ + limits::kReadBytes, writer.payload_bytes_max(limits::kBlockMessagesMax));
}

bool NativeSession::has_room() {
  const BlockWriter& writer = thread_.writer(*listener_);
  return writer.has_space(payload_wanted(writer), limits::kBlockMessagesMax);
}

NativeSession::Progress NativeSession::read_block() {
  if (finished()) return Progress::finished;
  if (ended_ && !backlog_) {
    end_if_done();
    return Progress::finished;
  }
  if (!replies_.has_room() || !ledger_.has_room()) return Progress::stalled;
  BlockWriter& writer = thread_.writer(*listener_);
  if (sync_request_) request_sync(writer);
  const std::size_t payload_bytes_max = payload_wanted(writer);
  if (!writer.begin(payload_bytes_max, limits::kBlockMessagesMax)) return Progress::paused;
  if (!ledger_.waits_for_appender()) ledger_.nothing_before(board().now().settled);
  decoder_.set_record_bytes_max(thread_.limits().record_bytes_max);
  const std::ptrdiff_t bytes = receive(writer, payload_bytes_max);
  return bytes < 0 ? Progress::drained : process(writer, static_cast<std::size_t>(bytes));
}

// Walk 1 listener
std::ptrdiff_t NativeSession::receive(BlockWriter& writer, std::size_t payload_bytes_max) {
  std::size_t got = 0;
  if (!backlog_ && !ended_) {
    std::size_t room = payload_bytes_max - tail_bytes_;
    if (draining_) room = std::min(room, drain_bytes_left_);
    ssize_t n = 0;
    do {
      n = room == 0 ? 0 : ::recv(waiter_.fd(), writer.payload() + tail_bytes_, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    const bool empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (empty && !draining_) return -1;
    if (n < 0 && !empty) close_reason_ = CloseReason::error;
    if (n <= 0) {
      ended_ = true;
    } else {
      got = static_cast<std::size_t>(n);
      if (draining_) drain_bytes_left_ -= got;
      counters().received_bytes.add(got);
    }
  }
  if (tail_bytes_ > 0) std::memcpy(writer.payload(), tail_.get(), tail_bytes_);
  return static_cast<std::ptrdiff_t>(tail_bytes_ + got);
}

NativeSession::Progress NativeSession::process(BlockWriter& writer, std::size_t bytes) {
  const std::string_view received(writer.payload(), bytes);
  writer.received(bytes, realtime_ns(), thread_.utc_offset_seconds(), false);
  wire::NativeEvent event;
  std::size_t consumed = 0;
  const BlockEnd end = decode(writer, received, consumed, event);
  keep_tail(received.substr(consumed));  // before its bytes belong to the appender
  backlog_ = end == BlockEnd::block_full;
  const bool any = writer.messages() > 0;
  writer.commit(counters());
  if (any) ledger_.committed(writer.ring_end());
  if (sync_request_) request_sync(writer);
  if (waits_for_progress()) board().wait(*this);
  if (end == BlockEnd::failed || end == BlockEnd::put_off) {
    end == BlockEnd::failed ? fail(event.error, event.text) : put_off();
    return Progress::finished;
  }
  answer();
  if (!finished() && share_wanted_) return share();
  return finished() ? Progress::finished : Progress::read;
}

// Walk 2 framing
NativeSession::BlockEnd NativeSession::decode(BlockWriter& writer, std::string_view bytes,
                                              std::size_t& consumed, wire::NativeEvent& event) {
  while (true) {
    if (writer.room() == 0 || !replies_.has_room() || !ledger_.has_room() || share_wanted_) {
      return consumed < bytes.size() ? BlockEnd::block_full : BlockEnd::all_read;
    }
    const wire::NativeDecoder before = decoder_;
    if (!decoder_.next(bytes.substr(consumed), event)) {
      consumed += event.consumed;
      return BlockEnd::all_read;
    }
    if (event.kind == wire::NativeEvent::Kind::error) return BlockEnd::failed;
    if (event.kind == wire::NativeEvent::Kind::hello && comes_too_early(event.hello))
      return BlockEnd::put_off;
    if (begins_a_hole(writer, event) ||
        !take(writer, event)) {  // no room for a new sender: the next block has some
      decoder_ = before;
      return BlockEnd::block_full;
    }
    consumed += event.consumed;
  }
}

/// A block's numbers have no holes, where they are to be remembered.
bool NativeSession::begins_a_hole(const BlockWriter& writer, const wire::NativeEvent& event) const {
  return event.kind == wire::NativeEvent::Kind::refused && !client_.is_none() && writer.messages() > 0;
}

bool NativeSession::take(BlockWriter& writer, const wire::NativeEvent& event) {
  using Event = wire::NativeEvent::Kind;
  switch (event.kind) {
    case Event::record:
      return add(writer, event.record);
    case Event::refused:
      refuse_record(event);
      break;
    case Event::hello:
      greet(event.hello);
      break;
    case Event::flush:
      flush(event);
      break;
    case Event::ping:
      replies_.pong(event.number);
      break;
    case Event::share:
      share_wanted_ = event.number;
      break;
    case Event::bell:
    case Event::more:
    case Event::error:
      break;
  }
  return true;
}

// Walk 3 parser
bool NativeSession::add(BlockWriter& writer, const wire::NativeRecord& record) {
  if (record.number <= known_) {  // stored before the daemon that should have said so died
    ledger_.skip(record.number);
    want(record.number, record.wanted);
    return true;
  }
  wire::ParsedMessage parsed;
  const RecordFormat format = record.message_start == 0 ? RecordFormat::raw : RecordFormat::rfc5424;
  parsed.flags.bits = static_cast<std::uint8_t>(format);
  if (record.wanted == wire::Wanted::synced) parsed.flags.bits |= ingress::kSync;
  parsed.priority = record.priority;
  parsed.message_start = record.message_start;
  parsed.sender_time_ns = record.sender_time_ns;
  parsed.identifier = record.identifier;
  parsed.procid = record.procid;
  parsed.msgid = record.msgid;
  const std::size_t index = writer.messages();
  if (!writer.add_parsed(record.slice, parsed, origin_, hint_)) return false;
  FASTLOGD_CHECK(ledger_.add(record.number, index));
  if (index == 0) writer.number({.client = client_, .first = record.number});
  want(record.number, record.wanted);
  return true;
}

void NativeSession::flush(const wire::NativeEvent& event) {
  std::uint64_t& wanted = event.wanted == wire::Wanted::synced ? synced_wanted_ : stored_wanted_;
  wanted = std::max(wanted, event.number);
  if (event.wanted == wire::Wanted::synced) sync_request_ = true;
}

void NativeSession::want(std::uint64_t number, wire::Wanted wanted) {
  if (wanted != wire::Wanted::none) stored_wanted_ = std::max(stored_wanted_, number);
  if (wanted == wire::Wanted::synced) synced_wanted_ = std::max(synced_wanted_, number);
}

/// Too large or malformed: counted like any record that is lost, and named in the log by a GAP.
void NativeSession::refuse_record(const wire::NativeEvent& event) {
  counters().received_records.add();
  counters().dropped_records[static_cast<std::size_t>(DropReason::refused)].add();
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::sender_error)].add();
  ledger_.skip(event.number);
  want(event.number, event.wanted);
  refuse(event.number, event.number, event.refusal);
}

/// What it had written into a ring of the daemon before this one is still being stored.
bool NativeSession::comes_too_early(const wire::NativeHello& hello) const {
  const ClientKey client{.id = hello.client, .uid = origin_.attested.uid};
  return !client.is_none() &&
         thread_.shared().returning.puts_off(listener_->stream, client, hello.first_number);
}

void NativeSession::greet(const wire::NativeHello& hello) {
  client_ = {.id = hello.client, .uid = origin_.attested.uid};
  known_ = thread_.known_number(*listener_, client_);
  ledger_.start(hello.first_number);
  replies_.start(hello.first_number - 1);
  replies_.welcome(hello.first_number, thread_.limits().record_bytes_max);
  char* const host = std::copy(hello.identifier.begin(), hello.identifier.end(), claims_.data());
  std::copy(hello.host.begin(), hello.host.end(), host);
  origin_.attested.host = std::string_view(host, hello.host.size());
  if (!hello.identifier.empty()) {
    origin_.attested.identifier = std::string_view(claims_.data(), hello.identifier.size());
  }
}

NativeSession::Progress NativeSession::share() {
  const std::uint64_t wanted = *std::exchange(share_wanted_, std::nullopt);
  if (peer_has_gone(waiter_.fd())) {  // who tried while there was no daemon gets no memory
    close(CloseReason::peer);
    return Progress::finished;
  }
  SharedGrant grant;
  if (listener_->options.transport == ListenerTransport::unix_stream) {
    grant =
        grant_shared_memory(thread_.shared().shared_quota, thread_.limits(), origin_.attested.uid, wanted);
  } else {
    grant.refusal = wire::ShareRefusal::not_here;
  }
  if (grant.refusal != wire::ShareRefusal::none) {
    counters().refused_shares[static_cast<std::size_t>(grant.refusal) - 1].add();
    replies_.no_memory(grant.refusal);
    answer();
    return finished() ? Progress::finished : Progress::read;
  }
  const SourceView& who = origin_.attested;
  std::string kept_name = keep_shared_memory(thread_.shared().keeper, grant,
                                             {.client = client_,
                                              .gid = who.gid,
                                              .pid = who.pid,
                                              .listener = listener_->options.name,
                                              .stream = listener_->options.stream,
                                              .identifier = who.identifier,
                                              .host = who.host});
  // WELCOME goes first, and the descriptors with MEMORY's own bytes.
  if (!replies_.empty() || !send_shared_memory(waiter_.fd(), grant)) {
    if (!kept_name.empty()) thread_.shared().keeper->forget(kept_name);
    close(CloseReason::error);
  } else {
    become_shared(std::move(grant), std::move(kept_name));
  }
  return Progress::finished;
}

void NativeSession::become_shared(SharedGrant grant, std::string kept_name) {
  ReturningClients& returning = thread_.shared().returning;
  const ring::SharedConsumer consumer(grant.memory.parts());
  SharedStart start{.intake = {.memory = std::move(grant.memory),
                               .lease = std::move(grant.lease),
                               .consumer = consumer,
                               .origin = origin_,
                               .first_number = decoder_.next_number(),
                               .client = client_,
                               .known = known_,
                               .refused = returning.take_refused(listener_->stream, client_),
                               .kept_name = std::move(kept_name)},
                    .decoder = decoder_,
                    .received = {tail_.get(), tail_bytes_},
                    .old_names = returning.take_kept_names(listener_->stream, client_)};
  auto shared = std::make_unique<SharedSession>(thread_, listener_, waiter_.release(), std::move(start));
  SharedSession& session = *shared;
  board().leave(*this);
  finish();
  thread_.adopt(std::move(shared));
  if (draining_) session.drain(close_reason_);
}

void NativeSession::request_sync(BlockWriter& writer) {
  if (ledger_.synced() >= synced_wanted_ || writer.request_sync()) sync_request_ = false;
}

/// `rest` points into the ring; a record's tail is at most what the limits allow.
void NativeSession::keep_tail(std::string_view rest) {
  if (rest.size() > tail_capacity_) {
    tail_capacity_ = std::bit_ceil(rest.size());
    tail_ = std::make_unique_for_overwrite<char[]>(tail_capacity_);
  }
  if (!rest.empty()) std::memcpy(tail_.get(), rest.data(), rest.size());
  tail_bytes_ = rest.size();
}

}  // namespace fastlogd::ingest
