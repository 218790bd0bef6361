#include "ingest/datagram_receiver.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "ingest/io_thread.hpp"
#include "ingest/sockets.hpp"
#include "wire/datagram.hpp"

namespace fastlogd::ingest {
namespace {

constexpr int kBatchesPerWake = 16;
constexpr int kBatchesAtDrain = 8192;  // half a million datagrams: more than any socket's buffer holds

}  // namespace

DatagramReceiver::DatagramReceiver(IoThread& thread, ListenerPtr listener, UniqueFd fd,
                                   std::unique_ptr<DatagramSlab> slab)
    : Channel(thread, std::move(listener), std::move(fd)), slab_(std::move(slab)) {
  if (listener_->inherited) drops_ = DropMeter(kernel_drop_total(waiter_.fd()));
}

void DatagramReceiver::ready() {
  switch (take_batches(draining_ ? kBatchesAtDrain : kBatchesPerWake)) {
    case Took::some:
      return thread_.poll(*this);
    case Took::nothing:
      return wait();
    case Took::ring_full:
      return pause();
    case Took::all:
      return end();
  }
}

/// A Unix socket's queue is short (ten datagrams by default): whoever sends fast is waiting for its next look.
Channel::Polled DatagramReceiver::poll() {
  Took took = Took::nothing;
  if (draining_) {
    took = take_batches(kBatchesAtDrain);
  } else if (thread_.looks_on()) {
    took = take_batches(1);  // some cycles like this one go by before the thread asks for events
  }
  if (took == Took::some) return Polled::worked;
  if (took == Took::nothing && thread_.looks_on()) return Polled::idle;
  if (took == Took::nothing) wait();
  if (took == Took::ring_full) pause();
  if (took == Took::all) end();
  return Polled::done;
}

// Walk 1 listener
DatagramReceiver::Took DatagramReceiver::take_batches(int batches_max) {
  Took took = Took::nothing;
  for (int i = 0; i < batches_max; ++i) {
    if (!pack()) return Took::ring_full;
    if (draining_ && listener_->inherited) return Took::all;
    adopt_limits();
    const int got = slab_->receive(waiter_.fd());
    if (got < 0) complain_of_receive();
    if (draining_ && (got <= 0 || is_end(0))) return Took::all;
    if (got <= 0) return took;
    took = Took::some;
    take_batch(static_cast<std::size_t>(got));
    if (static_cast<std::size_t>(got) < limits::kDatagramBatch && !draining_) {
      if (!pack()) return Took::ring_full;
      return took;  // the queue is empty, or nearly: the next look finds out
    }
  }
  if (!pack()) return Took::ring_full;
  return draining_ ? Took::all : took;
}

/// A Unix socket whose intake has ended tells so once its queue is empty. Over UDP an empty datagram is somebody's.
bool DatagramReceiver::is_end(std::size_t slot) const {
  return listener_->options.transport == ListenerTransport::unix_datagram && slab_->is_end(slot);
}

void DatagramReceiver::complain_of_receive() {
  listener_->complaints.receive_failed.log(diag::Level::warning, "listener {}: receive: {}",
                                           listener_->options.name, std::strerror(errno));
}

/// Drops are rare: nobody waits for the next datagram to hear of them.
void DatagramReceiver::tick(std::int64_t monotonic_now_ns) {
  static_cast<void>(monotonic_now_ns);
  if (listener_->options.transport == ListenerTransport::udp)
    count_kernel_drops(kernel_drop_total(waiter_.fd()));
}

void DatagramReceiver::count_kernel_drops(std::uint32_t total) {
  const std::uint32_t more = drops_.advance(total);
  if (more == 0) return;
  counters().kernel_dropped_records.add(more);
  thread_.loss(*listener_).by_reason[static_cast<std::size_t>(ingress::LossReason::kernel_udp)].add(more);
}

/// Larger slots for a larger limit. The batch has been packed, so nothing points into the old ones.
void DatagramReceiver::adopt_limits() {
  const std::size_t wanted = thread_.limits().record_bytes_max;
  if (wanted == slab_->record_bytes_max()) return;
  auto slab = DatagramSlab::create(wanted);
  if (slab) slab_ = std::move(*slab);  // else the old limit goes on; the next batch tries again
}

void DatagramReceiver::take_batch(std::size_t datagrams) {
  pending_count_ = pending_next_ = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < datagrams; ++i) {
    const DatagramControl control = slab_->control(i);
    if (control.truncated) counters().control_truncated.add();
    if (control.descriptors_closed > 0) counters().descriptors_closed.add(control.descriptors_closed);
    if (control.drop_total) count_kernel_drops(*control.drop_total);
    const std::string_view datagram = slab_->datagram(i);
    bytes += datagram.size();
    auto text = wire::datagram_message(datagram);
    if (!text) continue;
    const bool too_long = slab_->truncated(i) || text->size() > slab_->record_bytes_max();
    if (slab_->truncated(i)) text = datagram;
    pending_[pending_count_++] = Pending{.text = text->substr(0, slab_->record_bytes_max()),
                                         .uid = control.uid,
                                         .gid = control.gid,
                                         .pid = control.pid,
                                         .truncated = too_long};
  }
  counters().received_bytes.add(bytes);
}

DatagramReceiver::Extent DatagramReceiver::next_block(const BlockWriter& writer) const {
  Extent extent;
  const std::size_t bytes_max = writer.payload_bytes_max(limits::kDatagramBatch);
  for (std::size_t i = pending_next_; i < pending_count_; ++i) {
    if (extent.bytes + pending_[i].text.size() > bytes_max) break;
    extent.bytes += pending_[i].text.size();
    ++extent.messages;
  }
  return extent;
}

bool DatagramReceiver::has_room() {
  BlockWriter& writer = thread_.writer(*listener_);
  const Extent extent = next_block(writer);
  return writer.has_space(extent.bytes, extent.messages);
}

/// Hands the pending batch over, in one block unless it is large. False: the ring is full.
bool DatagramReceiver::pack() {
  BlockWriter& writer = thread_.writer(*listener_);
  while (pending_next_ < pending_count_) {
    const Extent extent = next_block(writer);
    if (!writer.begin(extent.bytes, extent.messages)) return false;
    pack_block(writer, extent);
  }
  return true;
}

void DatagramReceiver::pack_block(BlockWriter& writer, Extent extent) {
  char* to = writer.payload();
  for (std::size_t i = 0; i < extent.messages; ++i) {
    Pending& pending = pending_[pending_next_ + i];
    if (!pending.text.empty()) std::memcpy(to, pending.text.data(), pending.text.size());
    to += pending.text.size();
  }
  writer.received(extent.bytes, realtime_ns(), thread_.utc_offset_seconds(), listener_->host_expected());
  MessageOrigin origin{.attested = SourceView{.transport = listener_->transport()},
                       .format = listener_->format(),
                       .process_names = &thread_.process_names()};
  const char* at = writer.payload();
  for (std::size_t i = 0; i < extent.messages; ++i) {
    const Pending& pending = pending_[pending_next_];
    origin.attested.uid = pending.uid;
    origin.attested.gid = pending.gid;
    origin.attested.pid = pending.pid;
    const std::string_view text(at, pending.text.size());
    if (!writer.add(text, pending.truncated, false, origin, hint_)) break;  // the next block takes it
    at += text.size();
    ++pending_next_;
  }
  writer.commit(counters());
}

void DatagramReceiver::drain(CloseReason reason) {
  static_cast<void>(reason);
  if (draining_ || finished()) return;
  if (listener_->inherited) {
    if (pack()) return end();
    draining_ = true;  // what has been received must go; what has not is the next daemon's
    return;
  }
  draining_ = true;
  end_intake(waiter_.fd(), listener_->options.transport);
  if (waiting()) ready();  // else it is polled, or paused and the space signal calls ready()
}

void DatagramReceiver::abandon() {
  if (finished()) return;
  std::uint64_t unstored = pending_count_ - pending_next_;
  if (!listener_->inherited) unstored += take_unread();
  thread_.count_abandoned(*listener_, unstored);
  end();
}

/// What nobody will read any more is received to be counted. The datagrams of the slab are given up.
std::uint64_t DatagramReceiver::take_unread() {
  std::uint64_t messages = 0;
  for (int i = 0; i < kBatchesAtDrain; ++i) {
    const int got = slab_->receive(waiter_.fd());
    if (got <= 0 || is_end(0)) break;
    take_batch(static_cast<std::size_t>(got));
    messages += pending_count_;
  }
  return messages;
}

void DatagramReceiver::end() {
  tick(0);
  finish();
}

}  // namespace fastlogd::ingest
