// FrontEnd's inheritance: the shared memory of clients that the daemon before this one served.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"
#include "ingest/front_end.hpp"
#include "ingest/front_end_state.hpp"
#include "ingest/shared_session.hpp"

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

/// A connection whose peer says nothing, with memory: that is what is left of the client here.
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
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return errno_error("socketpair");
  }
  UniqueFd ours(ends[0]);
  SharedStart start{.decoder = wire::NativeDecoder(shared.limits.load()->record_bytes_max),
                    .kept_name = std::move(ring.name),
                    .resumed = true,
                    .peer = UniqueFd(ends[1])};
  start.origin.attested = {.uid = note->client.uid,
                           .gid = note->gid,
                           .pid = note->pid,
                           .host = note->host,  // in the memory, which the session owns
                           .identifier = note->identifier};
  start.client = note->client;
  start.grant.lease =
      shared.shared_quota.charge(note->client.uid, ring::SharedMemory::bytes_taken(memory->parts().capacity));
  start.grant.memory = std::move(*memory);
  start.turn = shared.returning.expect(listener->stream, start.client);
  shared.open_connections.fetch_add(1, std::memory_order_relaxed);
  listener->counters[on.index()]->open_connections.fetch_add(1, std::memory_order_relaxed);
  on.post([&on, listener = std::move(listener), fd = std::move(ours), start = std::move(start)]() mutable {
    start.known = on.known_number(*listener, start.client);
    on.adopt(std::make_unique<SharedSession>(on, std::move(listener), std::move(fd), std::move(start)));
  });
  return {};
}

}  // namespace fastlogd::ingest
