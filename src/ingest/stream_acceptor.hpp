// The listening socket of a Unix stream or TCP listener.
#pragma once

#include "base/unique_fd.hpp"
#include "ingest/channel.hpp"

namespace fastlogd::ingest {

/// Accepts in batches and deals the connections out to the io threads in turn. Thread: its io thread.
class StreamAcceptor final : public Channel {
 public:
  StreamAcceptor(IoThread& thread, ListenerPtr listener, UniqueFd fd);

  void ready() override;
  void tick(std::int64_t monotonic_now_ns) override;
  /// Takes the connections that wait in the backlog, so that what they sent is stored, then closes.
  void drain(CloseReason reason) override;
  void abandon() override { finish(); }
  [[nodiscard]] Kind kind() const override { return Kind::acceptor; }

 private:
  /// False: nobody waits any more, or accepting is not possible now.
  bool accept_one();
  bool accept_failed(int error);
  void shed_one(int error);
  void refused(CloseReason reason);
  void hand_over(UniqueFd connection);

  UniqueFd reserve_;  // given up for a moment when descriptors run out, to be able to close a waiting peer
  bool resting_ = false;  // until the next tick: not even the reserve helped
};

}  // namespace fastlogd::ingest
