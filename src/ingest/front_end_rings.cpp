// FrontEnd's inheritance: the shared memory of clients that the daemon before this one served.
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"
#include "ingest/front_end.hpp"
#include "ingest/front_end_state.hpp"
#include "ingest/resumed_ring.hpp"

namespace fastlogd::ingest {

void FrontEnd::set_ring_keeper(RingKeeper& keeper) {
  FASTLOGD_CHECK(!state_->started);
  state_->shared.keeper = &keeper;
}

void FrontEnd::resume_rings(std::vector<KeptRing> rings) {
  FASTLOGD_CHECK(!state_->started && (rings.empty() || state_->shared.keeper != nullptr));
  std::ranges::sort(rings, {}, &KeptRing::name);
  std::size_t next = 0;
  for (KeptRing& ring : rings) {
    const std::string name = ring.name;
    IoThread& thread = *state_->shared.threads[next++ % state_->shared.threads.size()];
    const auto resumed = state_->resume_ring(std::move(ring), thread);
    if (resumed) continue;
    const bool never = resumed.error().code == std::errc::invalid_argument;
    diag::error(
        "shared memory {} of the daemon before this one is {}: {}", name,
        never ? "let go, with what it held if its client is gone, too" : "left to the one after this one",
        resumed.error().message());
    if (never) state_->shared.keeper->forget(name);
  }
  if (!rings.empty()) diag::info("{} rings of the daemon before this one", rings.size());
}

/// The one it was made through, or another one of the same stream.
ListenerPtr FrontEnd::State::listener_for(const RingNote& note) const {
  ListenerPtr found;
  for (const ActiveListener& one : active) {
    if (one.listener->options.stream != note.stream) continue;
    if (one.listener->options.name == note.listener) return one.listener;
    if (found == nullptr) found = one.listener;
  }
  return found;
}

Result<> FrontEnd::State::resume_ring(KeptRing ring, IoThread& on) {
  auto memory = ring::SharedMemory::resume(std::move(ring.one), std::move(ring.other));
  if (!memory) return memory.error();
  const auto note = read_ring_note(memory->parts().consumer->note);
  if (!note) return note.error();
  ListenerPtr listener = listener_for(*note);
  if (listener == nullptr) {
    return Error{std::make_error_code(std::errc::no_such_device_or_address),
                 fmt::format("no listener feeds stream {} any more", note->stream)};
  }
  UniqueFd silent(
      ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));  // a channel waits for something; its client is gone
  if (!silent) return errno_error("eventfd of a ring that came back");
  IntakeStart start{.consumer = ring::SharedConsumer::resume(memory->parts()),
                    .client = note->client,
                    .kept_name = std::move(ring.name)};
  start.origin.attested = {.uid = note->client.uid,
                           .gid = note->gid,
                           .pid = note->pid,
                           .host = note->host,  // in the memory, which the intake owns
                           .identifier = note->identifier};
  start.lease =
      shared.shared_quota.charge(note->client.uid, ring::SharedMemory::bytes_taken(memory->parts().capacity));
  start.memory = std::move(*memory);
  const unsigned turn = shared.returning.expect(listener->stream, start.client);
  on.post([&on, turn, listener = std::move(listener), fd = std::move(silent),
           start = std::move(start)]() mutable {
    start.known = on.known_number(*listener, start.client);
    on.adopt(std::make_unique<ResumedRing>(on, std::move(listener), std::move(fd), std::move(start), turn));
  });
  return {};
}

}  // namespace fastlogd::ingest
