// The ring of a client that the daemon before this one served.
#pragma once

#include <cstdint>
#include <string>

#include "ingest/shared_intake.hpp"

namespace fastlogd::ingest {

/// The intake from a ring that was kept. Its client's socket has ended with the daemon before: nobody rings, so it is
/// looked into with each tick, and nobody is told anything but through ReturningClients.
///
/// It is read as long as its client lives and has not come to this daemon: what it writes is in the log, though it may not
/// know yet that there is one. Then the ring is closed, drained, and on disk when it is settled: its client will be told
/// that it need not write that again. Rings of one client have their turns. Thread: its io thread.
class ResumedRing final : public SharedIntake {
 public:
  /// `fd`: any that is never readable. `turn`: which one of its client's, from ReturningClients.
  ResumedRing(IoThread& thread, ListenerPtr listener, UniqueFd fd, IntakeStart start, unsigned turn);

  void open() override;
  void tick(std::int64_t monotonic_now_ns) override;

 private:
  [[nodiscard]] bool may_take() override;
  [[nodiscard]] bool is_owed() const override;
  [[nodiscard]] bool is_over() override;
  [[nodiscard]] std::string describe_client() override;
  void left(CloseReason reason) override;

  void look_after_client();
  [[nodiscard]] bool client_lives() const;

  const unsigned turn_;
  bool turn_has_come_ = false;
  bool client_gone_ = false;  ///< and everything it had written has been seen
};

}  // namespace fastlogd::ingest
